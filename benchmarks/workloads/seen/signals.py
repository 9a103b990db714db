"""Signal processing."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.program import unroll
from benchmarks.programs.seen import signals
from benchmarks.programs.seen.signals import (
    ADAPTING,
    ATTACK,
    DAMPING,
    FEEDBACK,
    RATIO,
    RELEASE,
    THRESHOLD,
    WINDOW,
)
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _sound(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps = scale.steps(20_000, quick=100)
    return inputs(rng.normal(size=steps) * np.repeat([0.05, 1.0], steps // 2))


def _compressor(x: Any) -> Any:
    def step(level: Any, x_t: Any) -> tuple[Any, Any]:
        over = jnp.maximum(20 * jnp.log10(jnp.abs(x_t) + 1e-6) - THRESHOLD, 0) * (1 - 1 / RATIO)
        keep = jnp.where(over > level, ATTACK, RELEASE)
        level = keep * level + (1 - keep) * over
        return level, x_t * jnp.exp(-0.11512925464970229 * level)

    return lax.scan(step, jnp.float64(0), x)[1]


def _compressor_tuned(x: Any) -> Any:
    """Logarithms before the loop, exponentials after it."""
    over = jnp.maximum(20 * jnp.log10(jnp.abs(x) + 1e-6) - THRESHOLD, 0) * (1 - 1 / RATIO)

    def step(level: Any, over: Any) -> tuple[Any, Any]:
        apart = level - over
        level = over + jnp.where(apart < 0, ATTACK, RELEASE) * apart
        return level, level

    return x * jnp.exp(-0.11512925464970229 * lax.scan(step, jnp.float64(0), over, unroll=unroll(4, 16))[1])


def _pluck(rng: np.random.Generator, scale: Scale) -> Inputs:
    period, steps = scale.pick(100, quick=7), scale.steps(10_000, quick=50)
    return inputs(np.concatenate([rng.normal(size=period), np.zeros(steps - period)]), period=period)


def _plucked_string(x: Any, period: int) -> Any:
    def step(line: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        t, x_t = now
        place = t % (period + 1)
        y = x_t + DAMPING / 2 * (line[(place + 1) % (period + 1)] + line[place])
        return line.at[place].set(y), y

    return lax.scan(step, jnp.zeros(period + 1), (jnp.arange(len(x)), x))[1]


def _plucked_string_tuned(x: Any, period: int) -> Any:
    """A period at a time."""
    rest = -len(x) % period

    def block(carry: tuple[Any, Any], x: Any) -> tuple[tuple[Any, Any], Any]:
        last, past = carry
        y = x + DAMPING / 2 * (past + jnp.concatenate([last, past[:-1]]))
        return (past[-1:], y), y

    start = jnp.zeros(1), jnp.zeros(period)
    return lax.scan(block, start, jnp.pad(x, (0, rest)).reshape(-1, period))[1].ravel()[: len(x)]


def _symbols(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps = scale.steps(5_000, quick=50) + WINDOW - 1
    sent = rng.choice([-1.0, 1.0], steps)
    x = np.convolve(sent, [0.3, 0.9, 0.4, -0.1])[:steps] + 0.1 * rng.normal(size=steps)
    return inputs(x, np.eye(WINDOW)[4], np.zeros(FEEDBACK))


def _equalizer(x: Any, w: Any, b: Any) -> list[Any]:
    def step(carry: tuple[Any, Any, Any], t: Any) -> tuple[tuple[Any, Any, Any], Any]:
        w, b, past = carry
        seen = lax.dynamic_slice(x, (t,), (WINDOW,))
        y = w @ seen - b @ past
        decision = jnp.where(y > 0, 1.0, -1.0)
        error = decision - y
        w, b = w + ADAPTING * error * seen, b - ADAPTING * error * past
        return (w, b, jnp.concatenate([decision[None], past[:-1]])), decision

    (w, b, _), decisions = lax.scan(step, (w, b, jnp.zeros(FEEDBACK)), jnp.arange(len(x) - WINDOW + 1))
    return [decisions, w, b]


def _equalizer_tuned(x: Any, w: Any, b: Any) -> list[Any]:
    """Both filters are one, of what is seen and of past decisions with their signs turned."""

    def step(carry: tuple[Any, Any], t: Any) -> tuple[tuple[Any, Any], Any]:
        w, past = carry
        both = jnp.concatenate([lax.dynamic_slice(x, (t,), (WINDOW,)), past])
        y = (w * both).sum()
        decision = jnp.where(y > 0, 1.0, -1.0)
        w = w + (ADAPTING * (decision - y)) * both
        return (w, jnp.concatenate([-decision[None], past[:-1]])), decision

    start = jnp.concatenate([w, b]), jnp.zeros(FEEDBACK)
    (w, _), decisions = lax.scan(step, start, jnp.arange(len(x) - WINDOW + 1, dtype="uint32"))
    return [decisions, w[:WINDOW], w[WINDOW:]]


WORKLOADS = (
    task(
        "compressor",
        "compressor of loud sounds, T=20,000",
        signals.compressor,
        _sound,
        _compressor,
        _compressor_tuned,
    ),
    task(
        "plucked-string",
        "plucked string of period 100, T=10,000",
        signals.plucked_string,
        _pluck,
        _plucked_string,
        _plucked_string_tuned,
    ),
    task(
        "equalizer",
        "decision-feedback equalizer, 8 and 4 weights, T=5,000",
        signals.equalizer,
        _symbols,
        _equalizer,
        _equalizer_tuned,
        close(1e-7),
    ),
)
