"""Held-out workloads: programs of kinds that the applications do not have, written from their literature without a look
at what LoopJAX makes of them. There are none at present: those of before are in ``benchmarks.workloads.seen``.

A seed splits them: ``FIRST_LOOK`` may be run once and then guide a change, ``FINAL`` is run only at the end. Once they
have guided a change they are seen: they join ``benchmarks.workloads.seen``, and others are written.
"""

from __future__ import annotations

from benchmarks.workload import Workload

HELD_OUT: tuple[Workload, ...] = ()
"""All held-out workloads, by kind."""

FIRST_LOOK: tuple[Workload, ...] = ()
"""Those that may be run first, and guide a change after that."""

FINAL: tuple[Workload, ...] = ()
"""Those for the final measurement."""
