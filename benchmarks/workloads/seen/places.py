"""Mountains that rivers wear down, a glacier, a picture from radio dishes and the light of a star."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.programs.seen import places
from benchmarks.programs.seen.places import CELL, ERODES, GAIN, LONG, MOST_SNOW, UPLIFT, WAYS, YEAR
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _land(rng: np.random.Generator, scale: Scale) -> Inputs:
    rows, columns = scale.pick((40, 60), quick=(6, 7))
    return inputs(rng.random((rows, columns)) * 10, steps=scale.steps(20, quick=4))


def _drained(z: Any) -> tuple[Any, ...]:
    """Cells inside, the cell each drains to and how far that is."""
    rows, columns = z.shape
    cell = jnp.arange(rows * columns)
    inner = jnp.zeros((rows, columns), bool).at[1:-1, 1:-1].set(True).ravel()
    lengths = jnp.array([math.hypot(*way) for way in WAYS])
    offsets = jnp.array([way[0] * columns + way[1] for way in WAYS])
    slopes = jnp.stack([(z - jnp.roll(z, (-a, -b), (0, 1))) / math.hypot(a, b) for a, b in WAYS])
    slopes = slopes.reshape(len(WAYS), -1)
    best = jnp.argmax(slopes, axis=0)
    flows = inner & (slopes.max(axis=0) > 0)
    return inner, jnp.where(flows, cell + offsets[best], cell), lengths[best]


def _landscape(z: Any, steps: int) -> list[Any]:
    def step(z: Any, _: None) -> tuple[Any, Any]:
        inner, receiver, length = _drained(z)
        height = z.ravel()
        order = jnp.argsort(height)

        def drain(area: Any, i: Any) -> tuple[Any, None]:
            to = receiver[i]
            return area.at[to].add(jnp.where(to == i, 0.0, area[i])), None

        def erode(height: Any, i: Any) -> tuple[Any, None]:
            return height.at[i].set((height[i] + factor[i] * height[receiver[i]]) / (1 + factor[i])), None

        area, _ = lax.scan(drain, jnp.ones_like(height), order, reverse=True)
        factor = ERODES * LONG * jnp.sqrt(area) / length
        height, _ = lax.scan(erode, height + UPLIFT * LONG * inner, order)
        return height.reshape(z.shape), area

    z, area = lax.scan(step, z, None, steps)
    return [z, area[-1]]


def _landscape_tuned(z: Any, steps: int) -> list[Any]:
    """No order of cells: ways down double their lengths until all end, which adds up areas and solves for heights."""

    def step(carry: tuple[Any, Any], _: None) -> tuple[Any, None]:
        z, _ = carry
        inner, receiver, length = _drained(z)
        cell = jnp.arange(z.size)
        flows = receiver != cell

        def further(carry: tuple[Any, ...]) -> tuple[Any, ...]:
            area, to, goes = carry
            area = area.at[to].add(jnp.where(goes, area, 0), mode="promise_in_bounds")
            goes = goes & goes.at[to].get(mode="promise_in_bounds")
            return area, to.at[to].get(mode="promise_in_bounds"), goes

        first = (jnp.ones(z.size), receiver, flows)
        area = lax.while_loop(lambda carry: carry[2].any(), further, first)[0]
        factor = jnp.where(flows, ERODES * LONG * jnp.sqrt(area) / length, 0)
        known = (z.ravel() + UPLIFT * LONG * inner) / (1 + factor)

        def solve(carry: tuple[Any, ...]) -> tuple[Any, ...]:
            known, part, to = carry
            known = known + part * known.at[to].get(mode="promise_in_bounds")
            part = part * part.at[to].get(mode="promise_in_bounds")
            return known, part, to.at[to].get(mode="promise_in_bounds")

        first = (known, factor / (1 + factor), receiver)
        height = lax.while_loop(lambda carry: (carry[1] > 0).any(), solve, first)[0]
        return (height.reshape(z.shape), area), None

    (z, area), _ = lax.scan(step, (z, jnp.ones(z.size)), None, steps)
    return [z, area]


def _valley(rng: np.random.Generator, scale: Scale) -> Inputs:
    cells = scale.pick(100, quick=20)
    x = CELL * np.arange(cells)
    bed = 3_200 - 0.08 * x * (100 / cells) + 20 * rng.normal(size=cells)
    H = 120 * np.sqrt(np.maximum(1 - x / (0.6 * x[-1]), 0))
    seen = H * 1.1 + np.where(H > 0, 3 * rng.normal(size=cells), 0)
    return inputs(H, bed, seen, np.array([0.007, 2_800.0, math.log(2e-5)]), steps=scale.steps(1_500, quick=30))


def _glacier(H: Any, bed: Any, seen: Any, theta: Any, steps: int) -> list[Any]:
    def cost(theta: Any) -> Any:
        def step(H: Any, _: None) -> tuple[Any, None]:
            surface = bed + H
            slope = jnp.diff(surface) / CELL
            between = (H[1:] + H[:-1]) / 2
            flux = jnp.pad(-jnp.exp(theta[2]) * between**5 * slope**3, 1)
            snow = jnp.minimum(theta[0] * (surface - theta[1]), MOST_SNOW)
            return jnp.maximum(H + YEAR * (snow - jnp.diff(flux) / CELL), 0), None

        last, _ = lax.scan(step, H, None, steps)
        return ((last - seen) ** 2).mean()

    return list(jax.value_and_grad(cost)(theta))


def _glacier_tuned(H: Any, bed: Any, seen: Any, theta: Any, steps: int) -> list[Any]:
    """The loop back written out, from thicknesses alone; sums for the gradient in parameters after both loops."""
    softness = jnp.exp(theta[2])
    by = YEAR / CELL
    fall = jnp.diff(bed) / CELL

    def parts(H: Any) -> tuple[Any, ...]:
        slope = fall + (H[1:] - H[:-1]) * (1 / CELL)
        between = (H[1:] + H[:-1]) * 0.5
        square, flat = between * between, slope * slope
        fourth = square * square
        return slope, between, fourth, flat

    def step(H: Any, _: None) -> tuple[Any, Any]:
        slope, between, fourth, flat = parts(H)
        moved = (softness * by) * ((fourth * between) * (flat * slope))
        snow = jnp.minimum(theta[0] * (bed + H - theta[1]), MOST_SNOW)
        gained = jnp.pad(moved, (0, 1)) - jnp.pad(moved, (1, 0))
        return jnp.maximum(H + (YEAR * snow + gained), 0), H

    last, H_t = lax.scan(step, H, None, steps)
    error = last - seen

    def back(of_H: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        H, new = now
        slope, between, fourth, flat = parts(H)
        of_new = jnp.where(new > 0, of_H, 0)
        of_snow = jnp.where(theta[0] * (bed + H - theta[1]) < MOST_SNOW, of_new, 0)
        of_moved = (softness * by) * (of_new[:-1] - of_new[1:])
        of_between = (2.5 * of_moved) * (fourth * (flat * slope))
        of_slope = (3 / CELL * of_moved) * ((fourth * between) * flat)
        before = of_new + (YEAR * theta[0]) * of_snow
        before = before + jnp.pad(of_between - of_slope, (0, 1)) + jnp.pad(of_between + of_slope, (1, 0))
        return before, (of_snow, of_slope)

    after = jnp.concatenate([H_t[1:], last[None]])
    _, (of_snow, of_slope) = lax.scan(back, error * (2 / error.size), (H_t, after), reverse=True)
    rise = (of_snow * (bed + H_t - theta[1])).sum() * YEAR
    level = -YEAR * theta[0] * of_snow.sum()
    ease = (of_slope * jnp.diff(bed + H_t, axis=1)).sum() / 3
    return [(error**2).mean(), jnp.stack([rise, level, ease])]


def _sky(rng: np.random.Generator, scale: Scale) -> Inputs:
    """Beam of 300 pairs of dishes whose places turn with the earth, and a sky of points."""
    size = scale.pick(128, quick=12)
    at = np.arange(1 - size, size)
    beam = np.zeros((2 * size - 1, 2 * size - 1))
    for u, v in rng.normal(size=(300, 2)) * 0.12:
        beam += np.cos(2 * np.pi * (u * at[:, None] + v * at))
    beam /= beam[size - 1, size - 1]
    dirty = 0.002 * rng.normal(size=(size, size))
    for row, column, light in zip(*rng.integers(0, size, (2, 20)), rng.exponential(size=20), strict=True):
        dirty += light * beam[size - 1 - row : 2 * size - 1 - row, size - 1 - column : 2 * size - 1 - column]
    return inputs(dirty, beam, rounds=scale.steps(300, quick=10))


def _clean(dirty: Any, beam: Any, rounds: int) -> list[Any]:
    size = len(dirty)

    def find(carry: tuple[Any, Any], _: None) -> tuple[Any, Any]:
        left, model = carry
        row, column = jnp.unravel_index(jnp.argmax(jnp.abs(left)), left.shape)
        part = GAIN * left[row, column]
        pattern = lax.dynamic_slice(beam, (size - 1 - row, size - 1 - column), left.shape)
        return (left - part * pattern, model.at[row, column].add(part)), part

    (left, model), part = lax.scan(find, (dirty, jnp.zeros_like(dirty)), None, rounds)
    return [left, model, part]


def _clean_tuned(dirty: Any, beam: Any, rounds: int) -> list[Any]:
    """Largest values of columns, in one pass with what is taken away, then the place of the largest; the model after
    the loop."""
    size = len(dirty)

    def find(carry: tuple[Any, Any], _: None) -> tuple[Any, Any]:
        left, most = carry
        column = jnp.argmax(most).astype("int32")
        row = jnp.argmax(jnp.abs(lax.dynamic_slice_in_dim(left, column, 1, 1)[:, 0])).astype("int32")
        part = GAIN * left.at[row, column].get(mode="promise_in_bounds")
        pattern = lax.dynamic_slice(beam, (size - 1 - row, size - 1 - column), left.shape)
        left = left - part * pattern
        return (left, jnp.abs(left).max(axis=0)), (row, column, part)

    (left, _), (row, column, part) = lax.scan(find, (dirty, jnp.abs(dirty).max(axis=0)), None, rounds)
    return [left, jnp.zeros_like(dirty).at[row, column].add(part), part]


def _light(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps = scale.steps(2_000, quick=25)
    time = np.cumsum(rng.exponential(size=steps) * 0.1)
    y = np.sin(1.9 * time + rng.normal()) + 0.3 * np.cumsum(rng.normal(size=steps)) / np.sqrt(1 + time)
    theta = np.log([0.5, 0.3, 1.0, 0.05, 2.0, 0.1])
    return inputs(time, np.diff(time, prepend=time[0]), y + 0.3 * rng.normal(size=steps), theta)


def _semiseparable(time: Any, wait: Any, theta: Any) -> tuple[Any, ...]:
    a, c, wave, fade, turn, noise = jnp.exp(theta)
    cosine, sine = jnp.cos(turn * time), jnp.sin(turn * time)
    other = wave * fade / turn
    U = (jnp.full_like(time, a), wave * cosine + other * sine, wave * sine - other * cosine)
    V = (jnp.ones_like(time), cosine, sine)
    return a + wave + noise, U, V, jnp.exp(-wait * c), jnp.exp(-wait * fade)


def _damped_waves(time: Any, wait: Any, y: Any, theta: Any) -> list[Any]:
    def likelihood(theta: Any) -> Any:
        total, U, V, first, second = _semiseparable(time, wait, theta)
        kept = jnp.stack([first, second, second], axis=1)

        def step(carry: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[Any, Any]:
            S, f, W, D, z = carry
            y_t, u, v, kept_t = now
            S = jnp.outer(kept_t, kept_t) * (S + D * jnp.outer(W, W))
            f = kept_t * (f + W * z)
            uS = u @ S
            D = total - uS @ u
            W = (v - uS) / D
            z = y_t - u @ f
            return (S, f, W, D, z), (D, z)

        start = (jnp.zeros((3, 3)), jnp.zeros(3), jnp.zeros(3), 0.0, 0.0)
        D, z = lax.scan(step, start, (y, jnp.stack(U, axis=1), jnp.stack(V, axis=1), kept))[1]
        return -0.5 * (z**2 / D + jnp.log(D) + math.log(2 * math.pi)).sum()

    return list(jax.value_and_grad(likelihood)(theta))


def _damped_waves_tuned(time: Any, wait: Any, y: Any, theta: Any) -> list[Any]:
    """Observations are a column beside the matrix, so that a step is one product and one outer product; the loop back
    written out, with what parameters do to all times before and after it."""

    def given(theta: Any) -> tuple[Any, ...]:
        total, U, V, first, second = _semiseparable(time, wait, theta)
        kept = jnp.stack([first, second, second], axis=1)
        return total, jnp.stack(U, axis=1), jnp.stack(V, axis=1), kept

    (total, U, V, kept), back_of_given = jax.vjp(given, theta)
    fades = jnp.concatenate([kept[:, :, None] * kept[:, None, :], kept[:, :, None]], axis=2)

    def step(P: Any, now: tuple[Any, ...]) -> tuple[Any, Any]:
        known, u, fades_t = now
        M = fades_t * P
        s = u @ M
        D = total - (s[:3] * u).sum()
        left = known - s
        return M + (left[:3] / D)[:, None] * left, (M, D, left)

    known = jnp.concatenate([V, y[:, None]], axis=1)
    _, (M, D, left) = lax.scan(step, jnp.zeros((3, 4)), (known, U, fades), unroll=2)
    z, w = left[:, 3], left[:, :3] / D[:, None]
    value = -0.5 * (z * z / D + jnp.log(D) + math.log(2 * math.pi)).sum()
    of_z, of_D = -z / D, 0.5 * ((z / D) ** 2 - 1 / D)

    def back(of_P: Any, now: tuple[Any, ...]) -> tuple[Any, Any]:
        left, w, D, u, fades_t, of_z, of_D = now
        of_w = of_P @ left
        of_left = w @ of_P + jnp.append(of_w / D, of_z)
        of_D = of_D - (of_w * w).sum() / D
        of_s = -of_left - of_D * jnp.append(u, 0.0)
        of_M = of_P + u[:, None] * of_s
        return of_M * fades_t, (of_M, of_s, of_left, of_D)

    arrays = (left, w, D, U, fades, of_z, of_D)
    of_M, of_s, of_left, of_D = lax.scan(back, jnp.zeros((3, 4)), arrays, reverse=True, unroll=2)[1]
    after = M[:-1] + w[:-1, :, None] * left[:-1, None, :]
    of_fades = jnp.pad(of_M[1:] * after, ((1, 0), (0, 0), (0, 0)))
    square = of_fades[:, :, :3]
    of_kept = ((square + square.transpose(0, 2, 1)) * kept[:, None, :]).sum(axis=2) + of_fades[:, :, 3]
    of_U = (M * of_s[:, None, :]).sum(axis=2) - of_D[:, None] * (M[:, :, :3] * U[:, :, None]).sum(axis=1)
    return [value, back_of_given((of_D.sum(), of_U, of_left[:, :3], of_kept))[0]]


WORKLOADS = (
    task(
        "landscape",
        "2,400 cells of land that rises while rivers wear it down, 20 times, nested loops",
        places.landscape,
        _land,
        _landscape,
        _landscape_tuned,
    ),
    task(
        "glacier-grad",
        "glacier of 100 cells, 1,500 steps, with gradient in three parameters",
        places.glacier,
        _valley,
        _glacier,
        _glacier_tuned,
        close(1e-7),
    ),
    task(
        "radio-clean",
        "300 points of light, one by one, out of a picture of 128 by 128",
        places.clean,
        _sky,
        _clean,
        _clean_tuned,
    ),
    task(
        "damped-waves-grad",
        "likelihood of a walk and a wave, both damped, at 2,000 irregular times, with gradient in six parameters",
        places.damped_waves,
        _light,
        _damped_waves,
        _damped_waves_tuned,
        close(1e-7),
    ),
)
