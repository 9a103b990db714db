"""Synthesizers, voices and beats."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.programs.seen import sounds
from benchmarks.programs.seen.sounds import FLOOR, GLOTTIS, LIPS, LOSS, TIGHTNESS
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _saw(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps = scale.steps(10_000, quick=40)
    time = np.arange(steps)
    opening = 1 - np.exp(-2 * np.pi * (300 + 2_700 * time / steps) / 88_200)
    return inputs(2 * (time * 110 / 88_200 % 1) - 1, opening, np.float64(0.9))


def _ladder_filter(x: Any, opening: Any, resonance: Any) -> Any:
    def step(carry: tuple[Any, ...], now: tuple[Any, Any]) -> tuple[Any, Any]:
        y_2, y_1, a, b, c = carry
        x_t, g = now
        drive = jnp.tanh(x_t - 2 * resonance * (y_1 + y_2))
        a = a + g * (drive - jnp.tanh(a))
        b = b + g * (jnp.tanh(a) - jnp.tanh(b))
        c = c + g * (jnp.tanh(b) - jnp.tanh(c))
        y = y_1 + g * (jnp.tanh(c) - jnp.tanh(y_1))
        return (y_1, y, a, b, c), y

    return lax.scan(step, (jnp.zeros((), x.dtype),) * 5, (x, opening))[1]


def _ladder_filter_tuned(x: Any, opening: Any, resonance: Any) -> Any:
    """Hyperbolic tangents of the stages kept for the next step, five for nine."""

    def step(carry: tuple[Any, ...], now: tuple[Any, Any]) -> tuple[Any, Any]:
        y_2, y_1, a, b, c, of_a, of_b, of_c, of_y = carry
        x_t, g = now
        drive = jnp.tanh(x_t - 2 * resonance * (y_1 + y_2))
        a = a + g * (drive - of_a)
        of_a = jnp.tanh(a)
        b = b + g * (of_a - of_b)
        of_b = jnp.tanh(b)
        c = c + g * (of_b - of_c)
        of_c = jnp.tanh(c)
        y = y_1 + g * (of_c - of_y)
        return (y_1, y, a, b, c, of_a, of_b, of_c, jnp.tanh(y)), y

    return lax.scan(step, (jnp.zeros((), x.dtype),) * 9, (x, opening), unroll=2)[1]


def _voice(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, sections = scale.steps(4_000, quick=30), scale.pick(44, quick=6)
    time = np.arange(steps)
    phase = time * 140 / 44_100 % 1
    source = np.where(phase < 0.6, np.sin(np.pi * phase / 0.6) ** 2, 0.0) + 0.01 * rng.normal(size=steps)
    place = np.linspace(0, 1, sections)
    one = 0.6 + 2.2 * np.exp(-(((place - 0.8) / 0.2) ** 2))
    other = 0.6 + 2.2 * np.exp(-(((place - 0.3) / 0.25) ** 2))
    share = time[:, None] / steps
    return inputs(source, (1 - share) * one + share * other)


def _vocal_tract(source: Any, area: Any) -> Any:
    reflection = (area[:, :-1] - area[:, 1:]) / (area[:, :-1] + area[:, 1:])

    def step(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[Any, Any]:
        right, left = carry
        source_t, k = now
        turned = k * (right[:-1] + left[1:])
        first, last = GLOTTIS * left[:1] + source_t, LIPS * right[-1:]
        right = LOSS * jnp.concatenate([first, right[:-1] - turned])
        left = LOSS * jnp.concatenate([left[1:] + turned, last])
        return (right, left), right[-1]

    zeros = jnp.zeros_like(area[0])
    return lax.scan(step, (zeros, zeros), (source, reflection))[1]


def _vocal_tract_tuned(source: Any, area: Any) -> Any:
    """The loss within the reflections and the source, which are known before the loop."""
    reflection = LOSS * (area[:, :-1] - area[:, 1:]) / (area[:, :-1] + area[:, 1:])

    def step(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[Any, Any]:
        right, left = carry
        source_t, k = now
        turned = k * (right[:-1] + left[1:])
        first, last = (LOSS * GLOTTIS) * left[:1] + source_t, (LOSS * LIPS) * right[-1:]
        right = jnp.concatenate([first, LOSS * right[:-1] - turned])
        left = jnp.concatenate([LOSS * left[1:] + turned, last])
        return (right, left), right[-1]

    zeros = jnp.zeros_like(area[0])
    return lax.scan(step, (zeros, zeros), (LOSS * source, reflection))[1]


def _energies(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, channels = scale.steps(1_000, quick=12), scale.pick(40, quick=3)
    level = np.exp(1.5 * np.sin(np.arange(steps) / 40)[:, None] + rng.normal(size=channels))
    energy, target = level * rng.gamma(2.0, 0.5, (steps, channels)), rng.gamma(2.0, 0.3, (steps, channels))
    parameters = (np.full(channels, value) + 0.1 * rng.normal(size=channels) for value in (-3.2, 2.0, 0.7, 0.0))
    return inputs(*(array.astype("float32") for array in (energy, target, *parameters)))


def _channel_energies(energy: Any, target: Any, *parameters: Any) -> list[Any]:
    def cost(parameters: Any) -> Any:
        speed, gain, bias, power = parameters
        s, alpha = jax.nn.sigmoid(speed), jax.nn.sigmoid(gain)
        delta, r = jnp.exp(bias), jax.nn.sigmoid(power)

        def step(mean: Any, energy_t: Any) -> tuple[Any, Any]:
            mean = (1 - s) * mean + s * energy_t
            return mean, (energy_t / (FLOOR + mean) ** alpha + delta) ** r - delta**r

        return ((lax.scan(step, energy[0], energy)[1] - target) ** 2).mean()

    value, slopes = jax.value_and_grad(cost)(parameters)
    return [value, *slopes]


def _channel_energies_tuned(energy: Any, target: Any, *parameters: Any) -> list[Any]:
    """Means and their slopes in the speed by one loop forward; the rest for all times at once, with slopes in closed
    form that share logarithms and powers."""
    speed, gain, bias, power = parameters
    s, alpha = jax.nn.sigmoid(speed), jax.nn.sigmoid(gain)
    delta, r = jnp.exp(bias), jax.nn.sigmoid(power)

    def step(carry: tuple[Any, Any], energy_t: Any) -> tuple[Any, Any]:
        mean, slope = carry
        apart = energy_t - mean
        carry = (mean + s * apart, (1 - s) * slope + apart)
        return carry, carry

    mean, slope = lax.scan(step, (energy[0], jnp.zeros_like(s)), energy, unroll=8)[1]
    log_mean, log_delta = jnp.log(FLOOR + mean), bias
    ratio = energy * jnp.exp(-alpha * log_mean)
    inside = ratio + delta
    log_inside = jnp.log(inside)
    raised, floor = jnp.exp(r * log_inside), jnp.exp(r * log_delta)
    apart = raised - floor - target
    by = apart * (2 / apart.size)
    through = by * r * raised / inside
    of_alpha = -(through * ratio * log_mean).sum(axis=0)
    of_delta = through.sum(axis=0) - by.sum(axis=0) * r * floor / delta
    of_r = (by * (raised * log_inside - floor * log_delta)).sum(axis=0)
    of_s = -(through * alpha * ratio / (FLOOR + mean) * slope).sum(axis=0)
    slopes = [of_s * s * (1 - s), of_alpha * alpha * (1 - alpha), of_delta * delta, of_r * r * (1 - r)]
    return [(apart**2).mean(), *slopes]


def _onsets(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, period = scale.steps(3_000, quick=40), scale.pick(40, quick=6)
    beats = np.cumsum(np.round(period * (1 + 0.08 * rng.normal(size=steps)))).astype(int)
    onset = 0.3 * rng.gamma(0.5, 0.5, steps)
    onset[beats[beats < steps]] += 1.5
    return inputs(onset, period=period)


def _way_back(score: Any, last: Any, period: int) -> list[Any]:
    def back(state: tuple[Any, Any]) -> tuple[Any, Any]:
        t, count = state
        return last[t], count + 1

    end = (len(score) - period + jnp.argmax(score[-period:])).astype("int32")
    start = back((end, jnp.int32(1)))
    t, count = lax.while_loop(lambda state: last[state[0]] >= 0, back, start)
    return [score, count, t]


def _beat_tracking(onset: Any, period: int) -> list[Any]:
    lags = jnp.arange(2 * period, period // 2 - 1, -1, dtype="int32")
    penalty = -TIGHTNESS * jnp.log(lags.astype(onset.dtype) / period) ** 2

    def step(window: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        onset_t, t = now
        candidates = window[: len(lags)] + penalty
        score = onset_t + candidates.max()
        return jnp.concatenate([window[1:], score[None]]), (score, t - lags[jnp.argmax(candidates)])

    times = jnp.arange(len(onset), dtype="int32")
    score, last = lax.scan(step, jnp.zeros(2 * period), (onset, times))[1]
    return _way_back(score, last, period)


def _beat_tracking_tuned(onset: Any, period: int) -> list[Any]:
    """As many times at once as the shortest lag has, none of which reads another one; predecessors after the loop,
    where the best score is met."""
    most, least = 2 * period, period // 2
    lags = np.arange(most, least - 1, -1, dtype="int32")
    penalty = jnp.asarray(-TIGHTNESS * np.log(lags / period) ** 2)
    blocks = -(-len(onset) // least)
    padded = jnp.pad(onset, (0, blocks * least - len(onset))).reshape(blocks, least)

    def block(window: Any, onset_b: Any) -> tuple[Any, Any]:
        best = window[:least] + penalty[0]
        which = jnp.zeros(least, "int32")
        for k in range(1, len(lags)):
            candidate = window[k : k + least] + penalty[k]
            which = jnp.where(candidate > best, k, which)
            best = jnp.maximum(best, candidate)
        score = onset_b + best
        return jnp.concatenate([window[least:], score]), (score, which)

    score, which = lax.scan(block, jnp.zeros(most), padded)[1]
    last = jnp.arange(len(onset), dtype="int32") - most + which.ravel()[: len(onset)]
    return _way_back(score.ravel()[: len(onset)], last, period)


WORKLOADS = (
    task(
        "ladder-filter",
        "ladder of four stages that saturate, T=10,000",
        sounds.ladder_filter,
        _saw,
        _ladder_filter,
        _ladder_filter_tuned,
        close(1e-8),
    ),
    task(
        "vocal-tract",
        "waves in a tube of 44 sections that changes, T=4,000",
        sounds.vocal_tract,
        _voice,
        _vocal_tract,
        _vocal_tract_tuned,
        close(1e-8),
    ),
    task(
        "channel-energies-grad",
        "energies of 40 channels divided by their means so far, T=1,000, with gradients",
        sounds.channel_energies,
        _energies,
        _channel_energies,
        _channel_energies_tuned,
        close(1e-3),
    ),
    task(
        "beat-tracking",
        "beats among 3,000 onsets by the best of 61 times before, with the way back until its start",
        sounds.beat_tracking,
        _onsets,
        _beat_tracking,
        _beat_tracking_tuned,
        close(1e-8),
    ),
)
