"""Digests of what every function returns: the same wherever multiply-adds are fused, whatever the compiler.

``python tests/digests.py`` compares them with the golden ones, needs no pytest, and fails where they differ. ``--each``
prints one for each call instead, for comparing two machines line by line. ``--write`` makes them the golden ones, which
is right only together with a new version of docs/reduction.md.

Inputs are a bit generator's integers, made numbers by exact or correctly rounded steps: NumPy's normal values need a
libm, whose bits differ between machines. Sizes lie around lanes (8, 16), pilots (16, 64), leaves (128, 1024), tiles
(512) and chunks (2048, 65536). Data, options and dtypes of results take turns from case to case.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from arrays import DTYPES, dtype_of

import fastnorm

GOLDEN = Path(__file__).with_name("golden.json")

LENGTHS = [1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 100, 127, 128, 129, 255, 256, 257, 511, 512, 513, 768, 1000]
LENGTHS += [1023, 1024, 1025, 1500, 2047, 2048, 2049, 3000, 4096, 4097, 10_000, 65_536, 65_537, 131_073]
TABLES = [(300, 33), (2300, 5), (2049, 3), (257, 1), (40, 21), (2048, 16), (2050, 64), (5000, 2), (16, 513), (9, 512)]
TABLES += [(255, 511), (256, 530), (4097, 1), (8, 8), (7, 7), (65, 65), (2, 1100), (17, 63), (3, 1024), (1000, 4)]
SEQUENCES = [(3, 35, 24), (1, 700, 130), (2, 17, 1), (2, 1025, 3), (5, 1, 7), (1, 2049, 9), (2, 256, 64), (4, 9, 65)]
MAPS = [
    (n, c, *plane) for n in (1, 3) for c in (1, 3, 8, 20) for plane in [(1, 17), (3, 3), (7, 7), (16, 16), (31, 33)]
]
MAPS += [(5, 6, 1, 1), (2, 513, 5, 5), (2, 64, 8, 8), (30, 4, 7, 7), (1, 2, 260, 260), (2, 12, 1, 1), (2, 40, 2, 300)]
MAPS += [(191, 3, 7, 5), (192, 3, 7, 5), (259, 2, 23, 22), (2, 160, 14, 14), (1, 72, 33, 17), (1, 1040, 20, 13)]
VOLUMES = [(2, 4, 3, 4, 5), (1, 3, 9, 8, 7), (2, 16, 2, 2, 2), (1, 1, 5, 17, 16)]

DATA = [(1.0, 0.0), (1.0, 1.0), (1.0, 1e3), (1e30, 0.0), (1e-30, 0.0), (3e37, 3e37), (1e-41, 0.0)]
DATA16 = [(1.0, 0.0), (1.0, 1.0), (1.0, 100.0), (1e-7, 0.0), (1e4, 5e4)]


def values(shape, dtype, seed, scale=1.0, offset=0.0):
    """Uniform over offset - scale ... offset + scale."""
    raw = np.random.PCG64(seed).random_raw(int(np.prod(shape)))
    units = (raw >> np.uint64(40)).astype(np.float64) * 2.0**-23 - 1.0
    with np.errstate(over="ignore"):
        return (units * scale + offset).astype(dtype_of(dtype)).reshape(shape)


def inputs(dtype) -> Iterator[tuple[int, np.ndarray, int]]:
    """Number of the case, x, and its channel axis."""
    last = [(2 if n < 10_000 else 1, n) for n in LENGTHS] + TABLES + SEQUENCES
    shapes = [(shape, len(shape) - 1, "C") for shape in last]
    shapes += [(shape, 1, "F") for shape in TABLES[:6] + MAPS[:20]]
    for n, c, *spatial in MAPS + VOLUMES:
        shapes += [((n, c, *spatial), 1, "C"), ((n, *spatial, c), len(spatial) + 1, "C")]
    data = DATA if dtype in ("float32", "float64") else DATA16
    for case, (shape, channel_axis, order) in enumerate(shapes):
        scale, offset = data[case % len(data)]
        yield case, np.asarray(values(shape, dtype, case, scale, offset), order=order), channel_axis


def calls(case, x, channel_axis):
    """The name of each function, and what it returns."""

    def turn(*choices):
        return choices[case % len(choices)]

    def parameter(shape, seed, offset=0.5):
        return values(shape, x.dtype, 1000 + seed, 1.0, offset)

    samples, channels = x.shape[0], x.shape[channel_axis]
    each, spatial = x.size // channels, x.size // channels // samples
    weight, bias = parameter(channels, 1), parameter(channels, 2)
    both = turn({}, {"weight": weight}, {"bias": bias}, {"weight": weight, "bias": bias})
    result = {} if case % 5 else {"dtype": dtype_of(turn(*DTYPES))}
    stats = {"eps": turn(1e-5, 0.0, 1e-3), "return_stats": True, **result}
    where = {"channel_axis": channel_axis}
    mean, var = values(channels, "float64", 3, 1.0, 1.0), values(channels, "float32", 4, 1.0, 1.5)
    group = next(n for n in turn((4, 3, 2, 1), (8, 1), (1,)) if channels % n == 0)

    for axis in {-1, channel_axis - x.ndim}:
        along = parameter(x.shape[axis], 5), parameter(x.shape[axis], 6)
        yield "layer_norm", fastnorm.layer_norm(x, *along[: case % 3], axis=axis, center=case % 4 > 0, **stats)
        yield "rms_norm", fastnorm.rms_norm(x, *along[: case % 2], axis=axis, **stats)
        p = turn(1, 2, np.inf, -np.inf, 3, 0.5)
        yield "normalize", fastnorm.normalize(x, p=p, axis=axis)
        yield "min_max_scale", fastnorm.min_max_scale(x, axis=axis, feature_range=turn((0, 1), (-2, 3)), **result)
    if x.ndim > 2:
        inner = tuple(range(1, x.ndim))
        yield "layer_norm", fastnorm.layer_norm(x, parameter(x.shape[1:], 7), axis=inner, **stats)
        found = fastnorm.moments(x, axis=turn(None, inner, 0))
        yield "moments", (found.mean, found.m2)
    yield "min_max_scale", fastnorm.min_max_scale(x, **result)
    yield "standardize", fastnorm.standardize(x, axis=turn(0, -1), return_stats=True, **result)
    yield "batch_norm", fastnorm.batch_norm(x, mean, var, **both, **where, **stats)
    if each > 1:
        running = mean.copy(), var.copy()
        yield "batch_norm", fastnorm.batch_norm(x, *running, **both, training=True, **where, **stats)
        yield "batch_norm", running
    yield "group_norm", fastnorm.group_norm(x, group, **both, **where, **stats)
    if x.ndim > 2:
        table, style = parameter((2, 5, channels), 8), values(x.shape, x.dtype, 9, 0.5, -1.0)
        labels = np.arange(samples) * 3 % 5
        yield "instance_norm", fastnorm.instance_norm(x, **both, **where, **stats)
        yield "instance_norm", fastnorm.instance_norm(x, mean, var, use_input_stats=False, **both, **where, **stats)
        yield "conditional_instance_norm", fastnorm.conditional_instance_norm(x, labels, *table, **where, **stats)
        if spatial > 1:
            yield "adaptive_instance_norm", fastnorm.adaptive_instance_norm(x, style, **where, **stats)
    size, beta = turn(5, 1, 2, 3, 4, 7), turn(0.75, 0.5, 1.0, 0.6)
    if x.size <= 20_000:
        response = fastnorm.local_response_norm(x, size, alpha=turn(1e-4, 1.0), beta=beta, k=turn(1, 2), **where)
        yield "local_response_norm", response
    yield "dropout", fastnorm.dropout(x, turn(0.5, 0.1, 0.9), rng=case, return_mask=True)
    yield "fold_batch_norm", fastnorm.fold_batch_norm(mean, var, **both)
    if x.ndim == 2 and each <= 2 and channels <= 1025:
        yield "fuse_linear_batch_norm", fastnorm.fuse_linear_batch_norm(x.T, None, mean, var, weight, bias)
        if channels <= 257 and np.isfinite(x).all():  # with products that are exact in any order
            eye, none = np.eye(channels, dtype=x.dtype), np.zeros((channels, channels), x.dtype)
            options = {"activation": turn("tanh", "relu", "sigmoid", "identity")}
            yield "layer_norm_rnn_cell", fastnorm.layer_norm_rnn_cell(x, x, eye, none, weight, bias, **options)
    if x.ndim == 4:
        if channel_axis == 1:
            fused = fastnorm.fuse_conv_batch_norm(x.swapaxes(0, 1), None, mean, var, weight, bias)
            yield "fuse_conv_batch_norm", fused
        else:
            raw = np.random.PCG64(case).random_raw(x.size).astype(np.uint8).reshape(x.shape)
            for image in (raw, x):
                options = {"layout": turn("HWC->CHW", "HWC->HWC"), "dtype": x.dtype}
                yield "normalize_image", fastnorm.normalize_image(image, mean, var, **options)


def content(result) -> Iterator[bytes]:
    """The bytes of one or more arrays, in the order of their indices, with one NaN for all."""
    for one in result if isinstance(result, tuple) else (result,):
        array = np.array(one, order="C")
        if array.dtype.kind not in "biu":
            array[array != array] = np.nan
        yield array.tobytes()


def digests(dtypes, each: bool = False) -> dict[str, dict[str, str]]:
    """Function -> dtype -> digest of all its calls; prints every call's own if told."""
    found = {}
    for dtype in dtypes:
        hashes = {}
        for case, x, channel_axis in inputs(dtype):
            with np.errstate(all="ignore"):
                for name, result in calls(case, x, channel_axis):
                    data = b"".join(content(result))
                    hashes.setdefault(name, hashlib.sha256()).update(data)
                    if each:
                        print(name, dtype, case, x.shape, channel_axis, hashlib.sha256(data).hexdigest()[:16])
        for name, one in hashes.items():
            found.setdefault(name, {})[dtype] = one.hexdigest()[:32]
    return dict(sorted(found.items()))


def main() -> str | None:
    """What is wrong, if something is."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--each", action="store_true", help="print a digest of every call")
    parser.add_argument("--write", action="store_true", help=f"write {GOLDEN.name}")
    parser.add_argument("--dtype", choices=DTYPES, nargs="+", default=DTYPES)
    options = parser.parse_args()
    if not options.each and not fastnorm.show_config("dicts")["fma"]:
        return "this instruction set has no fused multiply-add: other bits are right here"
    found = digests(options.dtype, options.each)
    if options.write:
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
    if options.each or options.write:
        return None
    golden = json.loads(GOLDEN.read_text())
    wrong = [
        f"{name} of {dtype}" for name in golden for dtype in options.dtype if found[name][dtype] != golden[name][dtype]
    ]
    return "not the golden bits: " + ", ".join(wrong) if wrong else None


if __name__ == "__main__":
    sys.exit(main())
