"""In one process with other libraries that have threads: no deadlock, and the same bits.

PyTorch and scikit-learn bring OpenMP runtimes of their own, joblib forks or starts processes, and a caller may itself
be inside a parallel region. Each is a child that has to end.
"""

import shutil
import subprocess
import textwrap

import pytest
from children import printed

COMMON = """
import threading
import numpy as np
import fastnorm

x = np.random.default_rng(0).standard_normal((2000, 1000)).astype("f4")
fastnorm.set_num_threads(3)
expected = fastnorm.layer_norm(x).tobytes()

def is_same():
    return fastnorm.layer_norm(x).tobytes() == expected

def beside(work, callers=3):
    # Calls from several threads while `work` runs in this one.
    answers, stop = [], threading.Event()

    def call():
        while not stop.is_set():
            answers.append(is_same())

    threads = [threading.Thread(target=call) for _ in range(callers)]
    for thread in threads:
        thread.start()
    work()
    stop.set()
    for thread in threads:
        thread.join()
    return len(answers) >= callers and all(answers)
"""


def run(code, *, first="import fastnorm", **environment):
    return printed(COMMON + textwrap.dedent(code), imports=first + "\n", PYTHONWARNINGS="ignore", **environment)


@pytest.mark.parametrize("first", ["import fastnorm", "import torch"])
def test_pytorch(first):
    pytest.importorskip("torch")
    code = """
        import torch

        torch.set_num_threads(2)
        t = torch.from_numpy(x)
        layer = torch.nn.functional.layer_norm

        def work():
            for _ in range(30):
                assert np.abs(layer(t, (1000,)).numpy() - fastnorm.layer_norm(x)).max() < 1e-4

        work()
        print(is_same(), beside(work), fastnorm.get_num_threads(), torch.get_num_threads())
    """
    assert run(code, first=first) == "True True 3 2"


def test_pytorch_forks_loaders_of_data():
    pytest.importorskip("torch")
    code = """
        import torch

        class Images(torch.utils.data.Dataset):
            def __len__(self):
                return 8

            def __getitem__(self, index):
                image = np.full((700, 700, 3), index, np.uint8)
                return fastnorm.normalize_image(image, mean=[0.5] * 3, std=[0.25] * 3), is_same()

        torch.nn.functional.layer_norm(torch.from_numpy(x), (1000,))
        loader = torch.utils.data.DataLoader(Images(), 2, num_workers=2, multiprocessing_context="fork")
        for batch, (images, same) in enumerate(loader):
            first = fastnorm.normalize_image(np.full((1, 1, 3), 2 * batch, np.uint8), mean=[0.5] * 3, std=[0.25] * 3)
            assert same.all() and (images[0].numpy() == first).all()
        print(batch)
    """
    assert run(code) == "3"


def test_scikit_learn():
    pytest.importorskip("sklearn")
    code = """
        from sklearn.cluster import KMeans
        from sklearn.ensemble import HistGradientBoostingClassifier

        def work():
            labels = KMeans(3, n_init=1, max_iter=5, random_state=0).fit_predict(x[:, :20])
            HistGradientBoostingClassifier(max_iter=2).fit(x[:, :20], labels)

        work()
        print(is_same(), beside(work), fastnorm.get_num_threads())
    """
    assert run(code) == "True True 3"


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_joblib(backend):
    pytest.importorskip("sklearn")
    code = f"""
        import joblib

        def work(scale):
            table = np.arange(3_000_000, dtype="f4").reshape(-1, 6) * scale
            return fastnorm.standardize(table).tobytes()

        expected_here = [work(scale) for scale in (1, 2, 3, 4)]
        with joblib.parallel_config({backend!r}, n_jobs=2):
            found = joblib.Parallel()(joblib.delayed(work)(scale) for scale in (1, 2, 3, 4))
        print(found == expected_here, is_same())
    """
    assert run(code) == "True True"


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here")
def test_inside_a_parallel_region(tmp_path):
    source, library = tmp_path / "region.c", tmp_path / "region.so"
    source.write_text(
        "#include <omp.h>\n"
        "void region(void (*call)(void)) {\n"
        "#pragma omp parallel num_threads(2)\n"
        "    if (omp_get_thread_num() == 0) call();\n"
        "}\n"
    )
    subprocess.run(["cc", "-fopenmp", "-shared", "-fPIC", "-o", library, source], check=True)
    code = f"""
        import ctypes

        seen = []

        @ctypes.CFUNCTYPE(None)
        def call():
            seen.extend([is_same(), fastnorm.get_num_threads()])

        ctypes.CDLL({str(library)!r}).region(call)
        print(seen, is_same())
    """
    assert run(code) == "[True, 1] True"
