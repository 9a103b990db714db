"""Sound and pictures."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import TIGHT, close
from benchmarks.programs.seen import processing
from benchmarks.programs.seen.processing import CAPACITANCE, RESISTANCE, SAMPLING, SATURATION, THERMAL
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task

HALF = 0.5 / SAMPLING


def _room(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, delays = scale.steps(5_000, quick=40), scale.pick((149, 211, 263, 293), quick=(3, 5, 7, 8))
    count = len(delays)
    turn = np.linalg.qr(rng.normal(size=(count, count)))[0]
    sound = rng.normal(size=steps) * np.exp(-np.arange(steps) / 300)
    arrays = sound, 0.1 * rng.normal(size=steps), 0.9 * turn, rng.normal(size=count), rng.normal(size=count)
    return inputs(*arrays, delays=delays)


def _reverb(sound: Any, target: Any, *weights: Any, delays: tuple[int, ...]) -> list[Any]:
    def cost(weights: Any) -> Any:
        A, into, out = weights

        def step(carry: tuple[Any, Any], sound_t: Any) -> tuple[Any, Any]:
            lines, t = carry
            late = jnp.stack([line[t % delay] for line, delay in zip(lines, delays, strict=True)])
            fed = A @ late + into * sound_t
            lines = [line.at[t % delay].set(fed[k]) for k, (line, delay) in enumerate(zip(lines, delays, strict=True))]
            return (lines, t + 1), out @ late

        start = [jnp.zeros(delay) for delay in delays]
        return ((lax.scan(step, (start, jnp.int32(0)), sound)[1] - target) ** 2).mean()

    value, slopes = jax.value_and_grad(cost)(weights)
    return [value, *slopes]


def _reverb_tuned(sound: Any, target: Any, A: Any, into: Any, out: Any, delays: tuple[int, ...]) -> list[Any]:
    """Blocks as long as the shortest delay, which need nothing of their own; the reverse loop by hand is of the same
    form, and each gradient is one product."""
    steps, size, count = len(sound), min(delays), len(delays)
    blocks = -(-steps // size)

    def run(matrix: Any, entering: Any, before: bool) -> Any:
        """What leaves the lines before it is mixed, or all that enters them, for ``entering (line, step)``."""

        def block(lines: Any, entering_b: Any) -> Any:
            late = jnp.stack([line[:size] for line in lines])
            new = matrix @ late + entering_b if before else matrix @ (late + entering_b)
            lines = [jnp.concatenate([line[size:], new[k]]) for k, line in enumerate(lines)]
            return lines, late if before else late + entering_b

        parts = jnp.pad(entering, ((0, 0), (0, blocks * size - steps))).reshape(count, blocks, size)
        found = lax.scan(block, [jnp.zeros(delay) for delay in delays], parts.swapaxes(0, 1))[1]
        return found.swapaxes(0, 1).reshape(count, blocks * size)[:, :steps]

    late = run(A, into[:, None] * sound, True)
    error = out @ late - target
    pull = 2 / steps * error
    # The slope of what enters line k is that of what leaves it after the delay.
    own = jnp.stack([jnp.pad(out[k] * pull, (0, delay))[delay:] for k, delay in enumerate(delays)])
    slope = run(A.T, own[:, ::-1], False)[:, ::-1]
    return [(error**2).mean(), slope @ late.T, slope @ sound, late @ pull]


def _keys(rng: np.random.Generator, scale: Scale) -> Inputs:
    blocks, size = scale.steps(60, quick=4), scale.pick(205, quick=40)
    low, high = np.array([697.0, 770, 852, 941]), np.array([1209.0, 1336, 1477, 1633])
    t = np.arange(blocks * size) / 8000
    one, two = (np.repeat(tones[rng.integers(0, 4, blocks)], size) for tones in (low, high))
    sound = np.sin(2 * np.pi * one * t) + np.sin(2 * np.pi * two * t) + 0.3 * rng.normal(size=len(t))
    frequency = 2 * np.pi * np.concatenate([low, high]) / 8000
    return inputs(sound.reshape(blocks, size), frequency, np.float64(0.3))


def _touch_tones(sound: Any, frequency: Any, keep: Any) -> list[Any]:
    coefficient = 2 * jnp.cos(frequency)
    zeros = jnp.zeros_like(frequency)

    def sample(carry: tuple[Any, Any], x: Any) -> tuple[Any, None]:
        s_2, s_1 = carry
        return (s_1, x + coefficient * s_1 - s_2), None

    def block(power: Any, samples: Any) -> tuple[Any, Any]:
        (s_2, s_1), _ = lax.scan(sample, (zeros, zeros), samples)
        found = s_1**2 + s_2**2 - coefficient * s_1 * s_2
        power = keep * power + (1 - keep) * found
        key = 4 * jnp.argmax(power[:4]) + jnp.argmax(power[4:])
        return power, (power, key.astype("int32"))

    return list(lax.scan(block, zeros, sound)[1])


def _touch_tones_tuned(sound: Any, frequency: Any, keep: Any) -> list[Any]:
    """The transform at eight frequencies by one product for all blocks; keys after the loop that smooths."""
    angle = jnp.arange(sound.shape[1])[:, None] * frequency
    parts = sound @ jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], axis=1)
    found = (1 - keep) * (parts[:, :8] ** 2 + parts[:, 8:] ** 2)

    def smooth(power: Any, found_b: Any) -> tuple[Any, Any]:
        power = keep * power + found_b
        return power, power

    power = lax.scan(smooth, jnp.zeros_like(frequency), found, unroll=4)[1]
    key = 4 * jnp.argmax(power[:, :4], axis=1) + jnp.argmax(power[:, 4:], axis=1)
    return [power, key.astype("int32")]


def _guitar(rng: np.random.Generator, scale: Scale) -> Inputs:
    t = np.arange(scale.steps(2_000, quick=40))
    sound = 2 * np.sin(t / 60) + np.sin(t / 23) + 0.1 * rng.normal(size=len(t))
    return inputs(sound, most=50, tolerance=1e-12)


def _diode_clipper(sound: Any, most: int, tolerance: float) -> Any:
    def slope(v: Any, sound_t: Any) -> Any:
        through = 2 * SATURATION / CAPACITANCE * jnp.sinh(v / THERMAL)
        return (sound_t - v) / (RESISTANCE * CAPACITANCE) - through

    def sample(carry: tuple[Any, Any], sound_t: Any) -> tuple[Any, Any]:
        v, before = carry
        known = v + HALF * before

        def newton(state: tuple[Any, Any, Any]) -> Any:
            i, guess, _ = state
            steep = -1 / (RESISTANCE * CAPACITANCE)
            steep -= 2 * SATURATION / (CAPACITANCE * THERMAL) * jnp.cosh(guess / THERMAL)
            change = (guess - HALF * slope(guess, sound_t) - known) / (1 - HALF * steep)
            return i + 1, guess - change, jnp.abs(change)

        def goes_on(state: tuple[Any, Any, Any]) -> Any:
            return (state[2] >= tolerance) & (state[0] < most)

        _, v, _ = lax.while_loop(goes_on, newton, (jnp.int32(0), v, jnp.float64(jnp.inf)))
        return (v, slope(v, sound_t)), v

    return lax.scan(sample, (jnp.float64(0), jnp.float64(0)), sound)[1]


def _diode_clipper_tuned(sound: Any, most: int, tolerance: float) -> Any:
    """Voltages in units of the thermal one; what a step leaves for the next from its own equation; one exponential for
    both hyperbolic functions; a start on the line through the last two, which needs fewer rounds; a change of 1e-6
    leaves an error of about its square."""
    share = HALF / (RESISTANCE * CAPACITANCE)
    weight = HALF * SATURATION / CAPACITANCE / THERMAL
    enough = max(1e-6, tolerance)

    def sample(carry: Any, driven: Any) -> Any:
        v, left, by = carry
        known = left + driven

        def newton(state: Any) -> Any:
            i, guess, _ = state
            e = jnp.exp(guess)
            f = 1 / e
            change = ((1 + share) * guess + weight * (e - f) - known) / (1 + share + weight * (e + f))
            return i + 1, guess - change, jnp.abs(change)

        start = jnp.int32(0), v + by, jnp.float64(jnp.inf)
        new = lax.while_loop(lambda state: (state[2] >= enough) & (state[0] < most), newton, start)[1]
        return (new, 2 * new - left, new - v), new

    zero = jnp.float64(0)
    return THERMAL * lax.scan(sample, (zero, zero, zero), share / THERMAL * sound)[1]


def _picture(rng: np.random.Generator, scale: Scale) -> Inputs:
    rows, columns = scale.pick((96, 128), quick=(5, 7))
    i, j = np.meshgrid(np.arange(rows) / rows, np.arange(columns) / columns, indexing="ij")
    return inputs(0.5 + 0.3 * np.sin(5 * i + 7 * j * j) + 0.2 * rng.uniform(-1, 1, (rows, columns)))


def _dithering(picture: Any) -> Any:
    def dot(error: Any, grey: Any) -> tuple[Any, Any]:
        wanted = grey + 7 / 16 * error
        white = wanted > 0.5
        error = wanted - white
        return error, (error, white)

    def row(from_above: Any, greys: Any) -> tuple[Any, Any]:
        error, white = lax.scan(dot, jnp.float64(0), greys + from_above)[1]
        padded = jnp.pad(error, 1)
        return 3 / 16 * padded[2:] + 5 / 16 * error + 1 / 16 * padded[:-2], white.astype("int32")

    return lax.scan(row, jnp.zeros(picture.shape[1]), picture)[1]


def _dithering_tuned(picture: Any) -> Any:
    """The error by a choice instead of a conversion, four dots in each iteration, and only errors from the inner loop;
    dots from these after each row."""

    def dot(error: Any, grey: Any) -> tuple[Any, Any]:
        wanted = grey + 7 / 16 * error
        error = jnp.where(wanted > 0.5, wanted - 1, wanted)
        return error, error

    def row(from_above: Any, greys: Any) -> tuple[Any, Any]:
        total = greys + from_above
        error = lax.scan(dot, jnp.float64(0), total, unroll=4)[1]
        padded = jnp.pad(error, 1)
        return 3 / 16 * padded[2:] + 5 / 16 * error + 1 / 16 * padded[:-2], total + 7 / 16 * padded[:-2] > 0.5

    return lax.scan(row, jnp.zeros(picture.shape[1]), picture)[1].astype("int32")


WORKLOADS = (
    task(
        "reverb-grad",
        "reverberator of four lines of 149 to 293 samples that feed each other, 5,000 samples, with gradients",
        processing.reverb,
        _room,
        _reverb,
        _reverb_tuned,
        close(1e-8),
    ),
    task(
        "touch-tones",
        "powers of 8 tones in 60 blocks of 205 samples, nested loops",
        processing.touch_tones,
        _keys,
        _touch_tones,
        _touch_tones_tuned,
        close(1e-8),
    ),
    task(
        "diode-clipper",
        "two diodes by Newton's method at each of 2,000 samples until it rests, nested loops",
        processing.diode_clipper,
        _guitar,
        _diode_clipper,
        _diode_clipper_tuned,
        close(1e-8),
    ),
    task(
        "dithering",
        "black and white dots for a picture of 96 x 128, nested loops",
        processing.dithering,
        _picture,
        _dithering,
        _dithering_tuned,
        TIGHT,
    ),
)
