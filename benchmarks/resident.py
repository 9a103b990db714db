"""Peak resident memory of this process."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def most_resident() -> int:
    """Peak in bytes. On Linux from ``/proc``, since ``getrusage`` also counts the process that started this one."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
