"""Forked children answer, with the parent's bits: libgomp's threads are gone there, and it would wait for them forever.

Every child runs under an alarm, which ends it: a hang is a failure, and takes no longer than this.
"""

import os
import textwrap

import pytest
from children import printed

import fastnorm

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here"),
    pytest.mark.skipif(not fastnorm.show_config("dicts")["openmp"], reason="this build has no OpenMP"),
]

PARENT = """
import ctypes, os, signal, sys, threading
import numpy as np
from fastnorm._kernels import tasks

x = np.random.default_rng(0).standard_normal((3, 700_001)).astype("f4")
fastnorm.set_num_threads(4)

def answer(_=None):
    signal.alarm(30)
    bits = fastnorm.layer_norm(x).tobytes() + fastnorm.standardize(x.reshape(-1, 3)).tobytes()
    signal.alarm(0)
    return bits

expected = answer()

def is_right():
    same = answer() == expected and fastnorm.get_num_threads() == 1
    with fastnorm.threads(4):
        return same and answer() == expected

def child(generation=1, fork=os.fork):
    pid = fork()
    if pid == 0:
        right = is_right()
        if right and generation > 1:
            right = child(generation - 1) == 0
        os._exit(0 if right else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""


def run(code):
    return printed(PARENT + textwrap.dedent(code), PYTHONWARNINGS="ignore")


def test_a_child_and_a_grandchild():
    code = "print([child(1), child(2), answer() == expected, fastnorm.get_num_threads()])"
    assert run(code) == "[0, 0, True, 4]"


def test_the_reason_for_one_thread():
    code = """
        import multiprocessing
        with multiprocessing.get_context("fork").Pool(1) as pool:
            print(pool.apply(fastnorm.show_config, ["dicts"])["threads_reason"])
    """
    assert run(code) == "a forked child, where OpenMP's threads are gone"


def test_multiprocessing():
    code = """
        import multiprocessing
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print([one == expected for one in pool.map(answer, range(4))])
    """
    assert run(code) == "[True, True, True, True]"


def test_a_fork_that_python_does_not_see():
    """uWSGI forks in C, where os.register_at_fork knows nothing of it."""
    assert run("print(child(fork=ctypes.PyDLL(None).fork))") == "0"


def test_from_another_thread():
    """Which in the child is the only one, and the main one."""
    code = """
        exits = []
        thread = threading.Thread(target=lambda: exits.extend([answer() == expected, child(2)]))
        thread.start()
        thread.join()
        print(exits, child())
    """
    assert run(code) == "[True, 0] 0"


def test_while_other_threads_are_inside_a_kernel():
    code = """
        stop = threading.Event()

        def call():
            while not stop.is_set():
                fastnorm.layer_norm(x)

        threads = [threading.Thread(target=call) for _ in range(3)]
        for thread in threads:
            thread.start()
        exits = {child() for _ in range(20)}
        stop.set()
        for thread in threads:
            thread.join()
        print(exits, answer() == expected)
    """
    assert run(code) == "{0} True"


def test_from_a_signal_handler_inside_a_call():
    """The handler runs between two turns of the call's loop; then both go on with what is left of it."""
    code = """
        forked = []

        def handler(*_):
            forked.append(os.fork())

        signal.signal(signal.SIGUSR1, handler)
        tasks.set_turn(0)
        for seconds in np.geomspace(1e-4, 1e-2, 20):
            threading.Timer(seconds, lambda: signal.raise_signal(signal.SIGUSR1)).start()
            same = answer() == expected
            while not forked:
                pass
            pid = forked.pop()
            if pid == 0:
                os._exit(0 if same and is_right() else 1)
            assert same and os.waitpid(pid, 0)[1] == 0
        print("done")
    """
    assert run(code) == "done"


def test_workers_of_a_preloading_server():
    """Used before the workers are forked; each answers from several threads, and is replaced when it ends."""
    code = """
        from concurrent.futures import ThreadPoolExecutor

        def worker():
            with ThreadPoolExecutor(3) as pool:
                return all(bits == expected for bits in pool.map(answer_here, range(9)))

        def answer_here(_):
            return fastnorm.layer_norm(x).tobytes() + fastnorm.standardize(x.reshape(-1, 3)).tobytes()

        def start():
            pid = os.fork()
            if pid == 0:
                signal.alarm(60)
                os._exit(0 if worker() else 1)
            return pid

        started, exits = {start() for _ in range(3)}, []
        while started:
            pid, status = os.wait()
            started.remove(pid)
            exits.append(os.waitstatus_to_exitcode(status))
            if len(exits) < 3:
                started.add(start())
        print(exits)
    """
    assert run(code) == "[0, 0, 0, 0, 0]"
