"""Benchmark and self-check behind ``python -m fastnorm``.

One table of cases (`cases`) serves the agreement check (`agreement`), the timings (`run`, `timing`,
`peers`), the test suite and the pytest-benchmark files, so that every number printed belongs to a
call whose result was compared with the reference. Nothing here is imported by ``import fastnorm``.
"""
