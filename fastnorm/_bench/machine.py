"""What a measurement has to know of the machine: its caches, its free memory, and what else it is doing.

Linux knows; elsewhere there is nothing, or None.
"""

from __future__ import annotations

import os
import time
from pathlib import Path


def caches() -> dict[str, int]:
    """Bytes of the first core's data caches by name, from the fastest."""
    found = {}
    for one in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        kind, level, size = ((one / name).read_text().strip() for name in ("type", "level", "size"))
        if kind != "Instruction" and size.endswith("K"):
            found[f"L{level}"] = int(size[:-1]) * 1024
    return found


def free_memory() -> int | None:
    """Bytes that can be had without swapping."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def others_seconds() -> float | None:
    """Seconds that all cores together have spent on anything but this process."""
    try:
        ticks = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        busy = sum(ticks) - sum(ticks[3:5])  # idle, and waiting for a disk
        return busy / os.sysconf("SC_CLK_TCK") - time.process_time()
    except (OSError, ValueError, AttributeError):
        return None
