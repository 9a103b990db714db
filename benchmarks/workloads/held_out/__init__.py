"""Held-out workloads: programs of the six kinds of the applications, written from their literature after the passes and
the cost model were mended by those, and for a final measurement only.

Once they have guided a change they are seen: they join the applications, and others are written.
"""

from __future__ import annotations

from benchmarks.workload import Workload
from benchmarks.workloads.held_out import (
    dynamic_programming,
    filters,
    networks,
    samplers,
    simulation,
    time_series,
)

KINDS = (samplers, filters, dynamic_programming, networks, simulation, time_series)

HELD_OUT: tuple[Workload, ...] = tuple(workload for kind in KINDS for workload in kind.WORKLOADS)
"""All held-out workloads, by kind."""
