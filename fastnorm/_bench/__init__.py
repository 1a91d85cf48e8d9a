"""Benchmark and self-check behind ``python -m fastnorm``.

One table of cases (`cases`) serves the agreement check (`agreement`), the timings (`run`, `timing`,
`peers`, `apart`), the test suite and the pytest-benchmark files, so that every number printed belongs
to a call whose result was compared with the reference. What a run found is one `document`, which all
that shows it reads. Nothing here is imported by ``import fastnorm``.
"""
