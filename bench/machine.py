"""The machine that measured."""

import os
import platform
from pathlib import Path

import psutil


def describe() -> str:
    """Processor, cores, memory, system and Python, and how busy it was with other things."""
    memory = psutil.virtual_memory().total / 2**30
    busy = os.getloadavg()[0]
    return (
        f"{_processor()}, {psutil.cpu_count()} cores, {memory:.0f} GB, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}; load average before the first run: {busy:.1f}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "an unknown processor"
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "an unknown processor"
    )
