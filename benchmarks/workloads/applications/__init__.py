"""Applications: a second family of workloads, by kind, written from their literature before the cost model was fitted.

They are split once into a half for tuning and a half that is held out: kinds that were known to be slow when they were
written are for tuning, and the others are divided by a seed that was chosen before anything was measured. The held-out
half is for the final measurement only.
"""

from __future__ import annotations

import random
from typing import Literal

from benchmarks.workload import Workload
from benchmarks.workloads.applications import (
    dynamic_programming,
    filters,
    networks,
    samplers,
    simulation,
    time_series,
)

KINDS = (samplers, filters, dynamic_programming, networks, simulation, time_series)

APPLICATIONS: tuple[Workload, ...] = tuple(workload for kind in KINDS for workload in kind.WORKLOADS)
"""All applications, by kind."""

KNOWN = frozenset(
    {
        "hmc",
        "ising",
        "kalman-inverse",
        "viterbi",
        "beam-search",
        "edit-distance",
        "soft-dtw-grad",
        "ctc-grad",
        "spiking-grad",
        "bodies",
        "life",
        "rule-110",
        "dense-autoregression",
        "garch-grad",
    }
)
"""Kinds that other programs had shown to be slow."""

SEED = 17

Half = Literal["tuning", "held-out"]


def _halves() -> dict[Half, tuple[Workload, ...]]:
    new = sorted({workload.name for workload in APPLICATIONS} - KNOWN)
    random.Random(SEED).shuffle(new)
    tuning = {*KNOWN, *new[: len(APPLICATIONS) // 2 - len(KNOWN)]}
    return {
        "tuning": tuple(workload for workload in APPLICATIONS if workload.name in tuning),
        "held-out": tuple(workload for workload in APPLICATIONS if workload.name not in tuning),
    }


HALVES = _halves()
"""The applications of each half, in order."""
