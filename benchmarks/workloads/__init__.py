"""The workloads, a file for each family."""

from __future__ import annotations

from benchmarks.workload import Workload
from benchmarks.workloads import (
    checkpoint,
    deep_taps,
    gibbs,
    lstm,
    polynomial,
    power,
    ragged,
    reads,
    rnn_taps,
    small_call,
    small_states,
    triangular,
    two_loops,
    until,
    value_and_grad,
    varying_length,
)

FAMILIES = (
    power,
    polynomial,
    reads,
    triangular,
    rnn_taps,
    deep_taps,
    until,
    lstm,
    ragged,
    gibbs,
    checkpoint,
    varying_length,
    small_call,
    value_and_grad,
    small_states,
    two_loops,
)

WORKLOADS: tuple[Workload, ...] = tuple(workload for family in FAMILIES for workload in family.WORKLOADS)
"""All of them, in the order in which they run."""
