"""Memory and threads in Cython: which tier runs (isa), on how many threads (tasks), over which rows (rows)."""
