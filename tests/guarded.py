"""Calls whose arrays all end right before a page that may not be touched, or start right after one.

A script: `test_guard_pages` runs it in children, because an access outside of an array ends the process that makes it.
What a call writes into the gaps between an array's elements, where no page can guard, is found by comparing them
afterwards; the results are those of the same call on ordinary memory.

`python tests/guarded.py channels /dev/null 1` (or `axes`, `others`) tries all that the tests take one in 64 of.
"""

import ctypes
import faulthandler
import itertools
import math
import mmap
import os
import sys
import zlib

import numpy as np
from arrays import DTYPES
from signatures import bits, calls

import fastnorm

PAGE = mmap.PAGESIZE
GAP = 0xAB  # what the bytes around an array hold
# Every length up to two vectors of 64 bytes and a few more, then around what kernels cut by: two vectors of bytes, the
# largest pattern of an image, a tile and a span, a leaf, a group of rows.
LENGTHS = [*range(68), *(n + more for n in (128, 256, 512, 1024, 4096) for more in (-1, 0, 1))]
# And a chunk, which is slow.
CHUNKS = [64 * 1024 - 1, 64 * 1024 + 1]


class Region:
    """Memory between two pages that may not be touched."""

    def __init__(self, pages):
        self.bytes = pages * PAGE
        self._map = mmap.mmap(-1, self.bytes + 2 * PAGE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        mprotect = ctypes.CDLL(None, use_errno=True).mprotect
        for guard in (start, start + PAGE + self.bytes):
            if mprotect(ctypes.c_void_p(guard), ctypes.c_size_t(PAGE), 0):
                raise OSError(ctypes.get_errno(), "mprotect")
        self.memory = np.frombuffer(self._map, np.uint8, self.bytes, PAGE)

    def place(self, values, strides, at_end):
        """The values with these strides in bytes, next to the guard after them or before."""
        reach = [(n - 1) * step for n, step in zip(values.shape, strides, strict=True)]
        below, above = -sum([one for one in reach if one < 0]), sum([one for one in reach if one > 0]) + values.itemsize
        if not values.size:
            below = above = 0
        self.memory.fill(GAP)
        array = np.ndarray(values.shape, values.dtype, self.memory, self.bytes - above if at_end else below, strides)
        array[...] = values
        return array

    def is_gap(self):
        return not np.count_nonzero(self.memory != GAP)


def dense(shape, itemsize):
    steps = [itemsize]
    for n in shape[:0:-1]:
        steps.append(steps[-1] * n)
    return steps[::-1] if shape else []


def padded(shape, itemsize):
    """A gap after each row."""
    return [*dense((*shape[:-1], shape[-1] + 3), itemsize)[:-1], itemsize] if shape else []


def backwards(shape, itemsize):
    """Rows in the other order; along the last axis as it is, which kernels walk."""
    steps = dense(shape, itemsize)
    return [-step for step in steps[:-1]] + steps[-1:]


def spread(shape, itemsize):
    """Every second element: nothing may be read after the last."""
    return [2 * step for step in dense(shape, itemsize)]


LAYOUTS = {"dense": dense, "padded": padded, "backwards": backwards, "spread": spread}


class Room:
    """Regions, one for each name and size."""

    def __init__(self):
        self._regions = {}

    def region(self, name, shape):
        """Large enough for 8 bytes an element in any layout."""
        key = name, (16 * math.prod([n + 3 for n in shape]) // PAGE + 1).bit_length()
        if key not in self._regions:
            self._regions[key] = Region(1 << key[1])
        return self._regions[key]

    def place(self, name, values, layout, at_end):
        return self.region(name, values.shape).place(values, LAYOUTS[layout](values.shape, values.itemsize), at_end)


def answers(call, **more):
    """The bits of all that comes back, and of what the call moves."""
    return bits(call(**more)), [call.arrays[key].tobytes() for key in call.moves]


def check(call, expected, layout, at_end, room, **more):
    """The call with all of its arrays next to guards gives what it gives anywhere, and writes nothing else."""
    placed = {key: room.place(key, one, layout, at_end) for key, one in call.arrays.items()}
    out = {} if call.out is None else {"out": room.place("out", np.zeros(call.out, call.dtype), layout, at_end)}
    read = [room.region(key, one.shape).memory for key, one in placed.items() if key not in call.moves]
    before = [one.tobytes() for one in read]
    assert answers(call.on(placed), **more, **out) == expected, "other bits"
    assert before == [one.tobytes() for one in read], "an input was written"
    for key, one in {**{key: placed[key] for key in call.moves}, **out}.items():
        one.view(np.dtype((np.void, one.itemsize)))[...] = bytes([GAP]) * one.itemsize
        assert room.region(key, one.shape).is_gap(), f"written beside {key}"


def shapes(n, dtype):
    """Where a length may lie: along rows or across them, in planes, in pixels."""
    if n in CHUNKS:
        return [((n,), 0), ((n, 1), 1)] if dtype == "float32" else []
    if n > 1024:
        return [((1, n), 1), ((n, 2), 1)]
    return [((n,), 0), ((3, n), 1), ((n, 3), 1), ((2, 3, n), 1), ((2, n, 5), 1), ((2, n, 3), -1), ((1, 3, n), -1)]


def try_all(call, case, file, others, room):
    """How many calls were made. Dense arrays take ways of their own, the others take turns."""
    tried = 0
    more = {call.details: True} if call.details else {}
    for asked in ({}, more) if more else ({},):
        expected = answers(call.on({key: np.array(one) for key, one in call.arrays.items()}), **asked)
        dense = [("dense", True), ("dense", False)]
        for layout, at_end in [*dense, next(others)] if asked == more else dense[:1]:
            os.pwrite(file, f"{case} {asked}, {layout}, at {'end' if at_end else 'start'}".encode().ljust(160), 0)
            check(call, expected, layout, at_end, room, **asked)
            tried += 1
    return tried


def main(family, last, one_in, *dtypes):
    """Try one in so many; the file `last` says which one is being tried, for whoever finds this process dead."""
    faulthandler.enable()
    file, isa = os.open(last, os.O_WRONLY), fastnorm.show_config("dicts")["isa"]
    room, tried = Room(), 0
    others = itertools.cycle(itertools.product(list(LAYOUTS)[1:], (True, False)))
    for dtype, n in itertools.product(dtypes or DTYPES, LENGTHS + CHUNKS):
        for shape, channel_axis in shapes(n, dtype):
            for name, call in calls(shape, dtype, channel_axis, [family]).items():
                case = f"{isa}: {name} of {shape}, channels {channel_axis}, {dtype}"
                is_slow = name == "fused" and n > 1024  # a loop in Python
                if not is_slow and zlib.crc32(case.encode()) % int(one_in) == 0:
                    tried += try_all(call, case, file, others, room)
    print(tried)


if __name__ == "__main__":
    main(*sys.argv[1:])
