"""Held-out workloads: programs of kinds that the applications do not have, written from their literature without a look
at what LoopJAX makes of them. The best by hand may be another algorithm with the same values.

``numpy.random.default_rng(20262101)`` splits them: ``FIRST_LOOK`` may be run once and then guide a change, ``FINAL`` is
run only at the end. Once they have guided a change they are seen: they join ``benchmarks.workloads.seen``, and others
are written.
"""

from __future__ import annotations

import numpy as np

from benchmarks.workload import Workload, workloads_of
from benchmarks.workloads.held_out import genes, learners, processors, stakes, tissues

HELD_OUT: tuple[Workload, ...] = workloads_of(genes, tissues, processors, stakes, learners)
"""All held-out workloads, by kind."""

_first = set(np.random.default_rng(20262101).permutation(len(HELD_OUT))[:8].tolist())

FIRST_LOOK: tuple[Workload, ...] = tuple(workload for i, workload in enumerate(HELD_OUT) if i in _first)
"""Those that may be run first, and guide a change after that."""

FINAL: tuple[Workload, ...] = tuple(workload for i, workload in enumerate(HELD_OUT) if i not in _first)
"""Those for the final measurement."""
