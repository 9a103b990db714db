"""Running sum over a series of lengths; a measured call is one pass through all lengths.

The time to the first result is that of a first pass, with all lengths new; the time of a call is that of a later pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.program import Program, on_gpu
from benchmarks.programs.triangular import triangular
from benchmarks.symbolic import Symbolic
from benchmarks.workload import Contenders, Scale, Workload
from benchmarks.workloads.triangular import plain_sums

SMALLEST = 1_024
"""Least capacity of a padded buffer."""


def _lengths(count: int, most: int) -> list[int]:
    """Different lengths from 10 on, equally many of each order of magnitude, shuffled."""
    found = np.unique(np.geomspace(10, most, 4 * count).astype(int))
    chosen = found[np.linspace(0, len(found) - 1, count).astype(int)]
    return [int(n) for n in np.random.default_rng(0).permutation(chosen)]


def _make(count: int, last: bool, scale: Scale) -> Contenders:
    lengths = _lengths(scale.pick(count, quick=5), scale.steps(1_000_000, quick=10_000))
    return Contenders(
        loopjax=Symbolic(triangular, options={"last": last}, calls=[(np.int32(n),) for n in lengths]),
        plain=lambda: _through(lengths, _plain(last)),
        tuned=lambda: _through(lengths, _tuned_last() if last else _tuned()),
    )


def _through(lengths: Sequence[int], one: Callable[[int], Any]) -> Program:
    return Program(lambda: [one(n) for n in lengths])


def _in_x64(function: Callable[[int], Any]) -> Callable[[int], Any]:
    def call(n: int) -> Any:
        with jax.enable_x64(True):
            return function(n)

    return call


def _plain(last: bool) -> Callable[[int], Any]:
    return _in_x64(jax.jit(lambda n: plain_sums(n)[-1] if last else plain_sums(n), static_argnums=0))


def _tuned() -> Callable[[int], Any]:
    """Buffer of the next power of two, filled up to the length, eight steps per iteration, and sliced on the host; on a
    GPU filled at once."""

    @partial(jax.jit, static_argnums=0)
    def sums(capacity: int, n: Any) -> Any:
        def eight(j: Any, state: tuple[Any, Any]) -> tuple[Any, Any]:
            total, found = state
            for k in range(8):
                total = total + (8 * j + k)
                found = lax.dynamic_update_index_in_dim(found, total, 8 * j + k, 0)
            return total, found

        if on_gpu():
            return jnp.cumsum(jnp.arange(capacity, dtype="int64"))
        start = (jnp.zeros((), "int64"), jnp.zeros(capacity, "int64"))
        return lax.fori_loop(jnp.zeros((), "int64"), (n + 7) // 8, eight, start)[1]

    def call(n: int) -> Any:
        capacity = max(SMALLEST, 1 << (n - 1).bit_length())
        return np.asarray(sums(capacity, np.int64(n)))[:n]

    return _in_x64(call)


def _tuned_last() -> Callable[[int], Any]:
    """Trip count as a value: one compilation; eight steps per iteration, then the remainder."""

    @jax.jit
    def total(n: Any) -> Any:
        def eight(j: Any, total: Any) -> Any:
            for k in range(8):
                total = total + (8 * j + k)
            return total

        zero = jnp.zeros((), "int64")
        most = lax.fori_loop(zero, n // 8, eight, zero)
        return lax.fori_loop(n - n % 8, n, lambda i, total: total + i, most)

    return _in_x64(lambda n: total(np.int64(n)))


def _workload(name: str, count: int, last: bool, large: bool = False) -> Workload:
    what = f"triangular called with {count:,} different lengths up to 1e6, {'last read' if last else 'all kept'}"
    return Workload(name, what, partial(_make, count, last), large=large)


WORKLOADS = (
    _workload("varying-length", 20, False),
    _workload("varying-length-last", 20, True),
    _workload("varying-length-large", 1_000, False, large=True),
    _workload("varying-length-last-large", 1_000, True, large=True),
)
