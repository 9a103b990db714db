"""The workloads, one file per family."""

from __future__ import annotations

from benchmarks.workload import Workload, workloads_of
from benchmarks.workloads import (
    checkpoint,
    deep_taps,
    gibbs,
    hmm,
    kalman,
    linear,
    lstm,
    many,
    nested,
    ode,
    particles,
    polynomial,
    power,
    ragged,
    readout,
    reads,
    rnn_taps,
    small_call,
    small_states,
    step_lengths,
    triangular,
    two_loops,
    until,
    value_and_grad,
    varying_length,
    walk,
)

FAMILIES = (
    power,
    polynomial,
    triangular,
    reads,
    linear,
    rnn_taps,
    readout,
    deep_taps,
    until,
    lstm,
    value_and_grad,
    ragged,
    many,
    small_states,
    step_lengths,
    two_loops,
    nested,
    kalman,
    hmm,
    ode,
    walk,
    particles,
    gibbs,
    checkpoint,
    varying_length,
    small_call,
)

WORKLOADS: tuple[Workload, ...] = workloads_of(*FAMILIES)
"""All workloads, in the order in which they run."""
