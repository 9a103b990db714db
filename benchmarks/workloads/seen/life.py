"""Epidemics and sequences."""

# ruff: noqa: N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.programs.seen import life
from benchmarks.programs.seen.life import PARTS
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _infections(rng: np.random.Generator, scale: Scale) -> Inputs:
    groups, days = scale.pick(8, quick=3), scale.steps(200, quick=15)
    contacts = rng.uniform(0.5, 1.5, (groups, groups)) / groups
    start = np.stack([np.ones(groups), np.full(groups, 1e-3), np.full(groups, 1e-3)])
    seen = groups * 0.02 * np.exp(-(((np.arange(days) - 60) / 30) ** 2))
    return inputs(contacts, start, seen, *map(np.float64, (0.4, 0.25, 0.2)))


def _ages(contacts: Any, start: Any, seen: Any, spread: Any, onset: Any, recovery: Any) -> list[Any]:
    def cost(spread: Any, onset: Any, recovery: Any) -> Any:
        def part(carry: Any, _: None) -> tuple[Any, None]:
            S, E, I, new = carry  # noqa: E741 - as the field names it
            infected = spread * S * (contacts @ I) / PARTS
            ill, well = onset * E / PARTS, recovery * I / PARTS
            return (S - infected, E + infected - ill, I + ill - well, new + ill.sum()), None

        def day(carry: Any, _: None) -> tuple[Any, Any]:
            (*carry, new), _ = lax.scan(part, (*carry, jnp.zeros(())), None, length=PARTS)
            return tuple(carry), new

        new = lax.scan(day, tuple(start), None, length=len(seen))[1]
        return ((new - seen) ** 2).sum()

    value, slopes = jax.value_and_grad(cost, (0, 1, 2))(spread, onset, recovery)
    return [value, *slopes]


def _ages_tuned(contacts: Any, start: Any, seen: Any, spread: Any, onset: Any, recovery: Any) -> list[Any]:
    """Forward mode: three derivatives beside the values, so that nothing is stored; the parts of a day written out."""

    def value(rates: Any) -> tuple[Any, Any]:
        force, onset, recovery = contacts * (rates[0] / PARTS), rates[1] / PARTS, rates[2] / PARTS

        def day(carry: Any, _: None) -> tuple[Any, Any]:
            S, E, I = carry  # noqa: E741 - as the field names it
            new = 0
            for _part in range(PARTS):
                infected = S * (force * I).sum(1)
                ill = onset * E
                S, E, I, new = S - infected, E + infected - ill, I + ill - recovery * I, new + ill  # noqa: E741
            return (S, E, I), new.sum()  # type: ignore[attr-defined]

        return ((lax.scan(day, tuple(start), None, length=len(seen))[1] - seen) ** 2).sum()

    rates = jnp.stack([spread, onset, recovery])
    (found, *_), slopes = jax.vmap(lambda along: jax.jvp(value, (rates,), (along,)), out_axes=(0, 0))(jnp.eye(3))
    return [found, *slopes]


def _nucleotides(rng: np.random.Generator, scale: Scale) -> Inputs:
    letters = rng.integers(0, 4, scale.pick(96, quick=12))
    sums = letters[:, None] + letters
    return inputs(((sums == 3) | (sums == 5)).astype(float))


def _folding(can: Any) -> Any:
    size = len(can)
    i = jnp.arange(size)

    def step(carry: tuple[Any, Any], d: Any) -> tuple[tuple[Any, Any], None]:
        after, before = carry
        end = (i + d) % size
        rest = before[end][:, (d - 1 - i) % size]
        split = jnp.where(i < d, after + rest, -1.0).max(1)
        inner = jnp.where(d > 1, after[(i + 1) % size, (d - 2) % size], 0.0)
        best = jnp.where(i + d < size, jnp.maximum(split, inner + can[i, end]), 0.0)
        return (after.at[:, d].set(best), before.at[end, d].set(best)), None

    zeros = jnp.zeros_like(can)
    return lax.scan(step, (zeros, zeros), jnp.arange(1, size))[0][0]


def _folding_tuned(can: Any) -> Any:
    """Both tables by their last position, so that a split is a sum of two rows that are shifted, not gathered."""
    size = len(can)
    i = jnp.arange(size)
    wide = jnp.concatenate([can, can], axis=1)
    pairs = wide[i[:, None], i[:, None] + i].T

    def step(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[tuple[Any, Any], Any]:
        """``after[d, i]``: part of ``d + 1`` from ``i``; ``back[size - 1 - d, j]``: part of ``d + 1`` up to ``j``."""
        (after, back), (d, pair) = carry, now
        rest = lax.dynamic_slice(jnp.concatenate([back, back], axis=1), (size - d, d), (size, size))
        split = jnp.where(i[:, None] < d, after + rest, -1.0).max(0)
        short = lax.dynamic_slice(after, (jnp.maximum(d - 2, 0), 0), (1, size))[0]
        inner = jnp.where(d > 1, jnp.concatenate([short[1:], short[:1]]), 0.0)
        best = jnp.where(i + d < size, jnp.maximum(split, inner + pair), 0.0)
        after = lax.dynamic_update_slice(after, best[None], (d, 0))
        turned = lax.dynamic_slice(jnp.concatenate([best, best]), (size - d,), (size,))
        return (after, lax.dynamic_update_slice(back, turned[None], (size - 1 - d, 0))), None

    start = jnp.zeros((size, size)), jnp.zeros((2 * size, size))
    (after, _), _ = lax.scan(step, start, (i[1:], pairs[1:]))
    return after.T


WORKLOADS = (
    task(
        "ages-grad",
        "epidemic in 8 age groups, 200 days of 4 parts, nested loops, with gradient in three rates",
        life.ages,
        _infections,
        _ages,
        _ages_tuned,
        close(1e-7),
    ),
    task(
        "folding",
        "most pairs of 96 nucleotides, all parts",
        life.folding,
        _nucleotides,
        _folding,
        _folding_tuned,
    ),
)
