"""Applications that were held out once: programs of the six kinds, written from their literature after the passes and
the cost model were mended by the others, run once as they were found, and mended since.
"""

from __future__ import annotations

from benchmarks.workload import Workload
from benchmarks.workloads.seen import (
    dynamic_programming,
    filters,
    networks,
    samplers,
    simulation,
    time_series,
)

KINDS = (samplers, filters, dynamic_programming, networks, simulation, time_series)

SEEN: tuple[Workload, ...] = tuple(workload for kind in KINDS for workload in kind.WORKLOADS)
"""All of these workloads, by kind."""
