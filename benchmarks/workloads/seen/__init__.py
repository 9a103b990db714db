"""Applications that were held out once: programs of the six kinds, then of signals, control, decisions and life, then
of sampling, estimation, recursions, recurrent networks, physics and forecasting, then of learning, inference, solvers,
search and integer sequences, then of chance, dynamics, markets, sound and pictures, tables and training, written from
their literature after the passes and the cost model were mended by the others, run once as they were found, and mended
since.
"""

from __future__ import annotations

from benchmarks.workload import Workload, workloads_of
from benchmarks.workloads.seen import (
    chance,
    control,
    decisions,
    dynamic_programming,
    dynamics,
    estimation,
    filters,
    forecasting,
    inference,
    learning,
    life,
    markets,
    networks,
    physics,
    processing,
    recurrent,
    recursions,
    samplers,
    sampling,
    search,
    sequences,
    signals,
    simulation,
    solvers,
    tables,
    time_series,
    training,
)

SEEN: tuple[Workload, ...] = workloads_of(
    samplers,
    filters,
    dynamic_programming,
    networks,
    simulation,
    time_series,
    signals,
    control,
    decisions,
    life,
    sampling,
    estimation,
    recursions,
    recurrent,
    physics,
    forecasting,
    learning,
    inference,
    solvers,
    search,
    sequences,
    chance,
    dynamics,
    markets,
    processing,
    tables,
    training,
)
"""All of these workloads, by kind."""
