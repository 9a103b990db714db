"""Held-out workloads: programs of kinds that the applications do not have, written from their literature after the
passes and the cost model were mended by those, and for a final measurement only.

Once they have guided a change they are seen: they join ``benchmarks.workloads.seen``, and others are written.
"""

from __future__ import annotations

from benchmarks.workload import Workload
from benchmarks.workloads.held_out import control, decisions, life, signals

KINDS = (signals, control, decisions, life)

HELD_OUT: tuple[Workload, ...] = tuple(workload for kind in KINDS for workload in kind.WORKLOADS)
"""All held-out workloads, by kind."""
