"""Applications: a second family of workloads, by kind, written from their literature before the cost model was fitted.

All of them have guided changes by now, as have those of ``benchmarks.workloads.seen``; those of
``benchmarks.workloads.held_out`` have not.
"""

from __future__ import annotations

from benchmarks.workload import Workload, workloads_of
from benchmarks.workloads.applications import (
    dynamic_programming,
    filters,
    networks,
    samplers,
    simulation,
    time_series,
)

APPLICATIONS: tuple[Workload, ...] = workloads_of(
    samplers, filters, dynamic_programming, networks, simulation, time_series
)
"""All applications, by kind."""
