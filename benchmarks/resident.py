"""The most memory that this process has held."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def most_resident() -> int:
    """Bytes. On Linux of this program alone: ``getrusage`` counts that of the process which started it too."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
