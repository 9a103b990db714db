"""Matrices, integrals, signals and stiff equations."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.programs.seen import numerics
from benchmarks.programs.seen.numerics import ROOM
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _matrix(rng: np.random.Generator, scale: Scale) -> Inputs:
    n, size = scale.pick((300, 60), quick=(12, 6))
    A = rng.normal(size=(n, n)) / n**0.5 + np.diag(np.linspace(0, 3, n))
    return inputs(A, rng.normal(size=n), size=scale.steps(size))


def _arnoldi(A: Any, b: Any, size: int) -> list[Any]:
    def step(V: Any, j: Any) -> tuple[Any, Any]:
        w = A @ V[j]
        first = V @ w
        w = w - V.T @ first
        second = V @ w
        w = w - V.T @ second
        norm = jnp.linalg.norm(w)
        return V.at[j + 1].set(w / norm), (first + second).at[j + 1].set(norm)

    V = jnp.zeros((size + 1, len(b))).at[0].set(b / jnp.linalg.norm(b))
    V, H = lax.scan(step, V, jnp.arange(size))
    return [H, V]


def _arnoldi_tuned(A: Any, b: Any, size: int) -> list[Any]:
    """Six loops one after the other, in which the basis has the rows that are known by then only."""
    parts = 6
    ends = [round(size * k / parts) for k in range(parts + 1)]
    V = (b / jnp.sqrt((b * b).sum()))[None]
    columns = []
    for low, high in pairwise(ends):
        V = jnp.concatenate([V, jnp.zeros((high - low, len(b)))])

        def step(V: Any, j: Any) -> tuple[Any, Any]:
            w = A @ V.at[j].get(mode="promise_in_bounds")
            first = V @ w
            w = w - first @ V
            second = V @ w
            w = w - second @ V
            norm = jnp.sqrt((w * w).sum())
            column = (first + second).at[j + 1].set(norm, mode="promise_in_bounds")
            return V.at[j + 1].set(w * (1 / norm), mode="promise_in_bounds"), column

        V, H = lax.scan(step, V, jnp.arange(low, high))
        columns.append(jnp.pad(H, ((0, 0), (0, size - high))))
    return [jnp.concatenate(columns), V]


def _interval(rng: np.random.Generator, scale: Scale) -> Inputs:
    del rng
    tolerance = scale.pick(1e-10, quick=1e-4)
    return inputs(*map(np.float64, (0.02, 2.0, tolerance)), most=scale.steps(100_000))


def _f(x: Any) -> Any:
    return jnp.sin(1 / x) * jnp.exp(-x)


def _rule(a: Any, b: Any, f_a: Any, f_m: Any, f_b: Any) -> Any:
    return (b - a) / 6 * (f_a + 4 * f_m + f_b)


def _quadrature(left: Any, right: Any, tolerance: Any, most: int) -> list[Any]:
    def step(state: tuple[Any, ...]) -> tuple[Any, ...]:
        stack, top, total, count = state
        a, b, f_a, f_m, f_b, whole = stack[top]
        m = (a + b) / 2
        f_1, f_2 = _f((a + m) / 2), _f((m + b) / 2)
        first, second = _rule(a, m, f_a, f_1, f_m), _rule(m, b, f_m, f_2, f_b)
        error = first + second - whole
        fine = jnp.abs(error) <= 15 * tolerance * (b - a) / (right - left)
        total = jnp.where(fine, total + first + second + error / 15, total)
        stack = stack.at[top].set(jnp.array([a, m, f_a, f_1, f_m, first]))
        stack = stack.at[top + 1].set(jnp.array([m, b, f_m, f_2, f_b, second]))
        return stack, jnp.where(fine, top - 1, top + 1), total, count + 1

    f_a, f_m, f_b = _f(left), _f((left + right) / 2), _f(right)
    row = jnp.array([left, right, f_a, f_m, f_b, _rule(left, right, f_a, f_m, f_b)])
    start = (jnp.zeros((ROOM, 6)).at[0].set(row), jnp.int32(0), jnp.float64(0), jnp.int32(0))
    *_, total, count = lax.while_loop(lambda state: (state[1] >= 0) & (state[3] < most), step, start)
    return [total, count]


def _quadrature_tuned(left: Any, right: Any, tolerance: Any, most: int) -> list[Any]:
    """The last 128 intervals of the stack at once; halves of those that are not fine enough go to their places, by a
    running count."""
    lanes, room = 128, 4_096
    each, twice = jnp.arange(lanes), jnp.arange(2 * lanes)
    second = (twice % 2).astype(bool)

    def step(state: tuple[Any, ...]) -> tuple[Any, ...]:
        stack, top, total, count = state
        low = jnp.maximum(top - lanes, 0)
        a, width, f_a, f_m, f_b = lax.dynamic_slice(stack, (0, low), (5, lanes))
        f_1, f_2 = _f(a + width / 4), _f(a + 3 * width / 4)
        share = width / 12
        both = share * (f_a + 4 * f_1 + 2 * f_m + 4 * f_2 + f_b)
        error = both - 2 * share * (f_a + 4 * f_m + f_b)
        here = each < top - low
        coarse = here & (jnp.abs(error) > 15 * tolerance * width / (right - left))
        total = total + jnp.where(here & ~coarse, both + error / 15, 0.0).sum()
        below = jnp.cumsum(coarse)
        source = jnp.searchsorted(below, twice // 2 + 1, method="compare_all")
        parted = jnp.stack([a, width / 2, f_a, f_m, f_b, f_1, f_2]).at[:, source].get(mode="clip")
        a, width, f_a, f_m, f_b, f_1, f_2 = parted
        halves = (
            jnp.where(second, a + width, a),
            width,
            jnp.where(second, f_m, f_a),
            jnp.where(second, f_2, f_1),
            jnp.where(second, f_b, f_m),
        )
        stack = lax.dynamic_update_slice(stack, jnp.stack(halves), (0, low))
        return stack, low + 2 * below[-1], total, count + jnp.minimum(top, lanes)

    first = jnp.stack([left, right - left, _f(left), _f((left + right) / 2), _f(right)])
    stack = jnp.zeros((5, room)).at[:, 0].set(first)
    start = (stack, jnp.int64(1), jnp.float64(0), jnp.int64(0))
    *_, total, count = lax.while_loop(lambda state: state[1] > 0, step, start)
    return [total, count.astype("int32")]


def _sound(rng: np.random.Generator, scale: Scale) -> Inputs:
    count, size = scale.pick((512, 128), quick=(20, 8))
    atoms = rng.normal(size=(count, size))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    chosen = rng.permutation(count)[: size // 4]
    signal = rng.normal(size=len(chosen)) @ atoms[chosen] + 0.05 * rng.normal(size=size)
    return inputs(atoms, signal, picks=scale.steps(300, quick=10))


def _pursuit(atoms: Any, signal: Any, picks: int) -> list[Any]:
    def pick(carry: tuple[Any, Any], _: None) -> tuple[Any, Any]:
        left, weight = carry
        alike = atoms @ left
        k = jnp.argmax(jnp.abs(alike))
        left = left - alike[k] * atoms[k]
        return (left, weight.at[k].add(alike[k])), (left**2).sum()

    (_, weight), rest = lax.scan(pick, (signal, jnp.zeros(len(atoms))), None, picks)
    return [weight, rest]


def _pursuit_tuned(atoms: Any, signal: Any, picks: int) -> list[Any]:
    """Products of all atoms with each other before the loop, a row of which tells what a pick leaves; squares of the
    picked products are what a pick takes."""
    gram = atoms @ atoms.T

    def pick(carry: tuple[Any, Any], _: None) -> tuple[Any, Any]:
        alike, weight = carry
        k = jnp.argmax(alike * alike)
        by = alike.at[k].get(mode="promise_in_bounds")
        alike = alike - by * gram.at[k].get(mode="promise_in_bounds")
        return (alike, weight.at[k].add(by, mode="promise_in_bounds")), by

    (_, weight), by = lax.scan(pick, (atoms @ signal, jnp.zeros(len(atoms))), None, picks)
    return [weight, (signal**2).sum() - jnp.cumsum(by * by)]


def _oscillators(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, count = scale.steps(1_000, quick=12), scale.pick(16, quick=2)
    push, seen = 0.5 * rng.normal(size=(steps, count)), 2 * rng.normal(size=(steps, count))
    start = rng.uniform(1.0, 2.0, count)
    return inputs(push, seen, *map(np.float64, (0.02, 8.0, 1.0)), start, rounds=5)


def _stiff_oscillator(push: Any, seen: Any, apart: Any, *parameters: Any, rounds: int) -> list[Any]:
    h = 2 / 3 * apart

    def cost(parameters: Any) -> Any:
        damping, stiffness, start = parameters

        def step(carry: tuple[Any, ...], push_t: Any) -> tuple[Any, Any]:
            x_2, x_1, v_2, v_1 = carry
            x_known, v_known = (4 * x_1 - x_2) / 3, (4 * v_1 - v_2) / 3

            def newton(carry: tuple[Any, Any], _: None) -> tuple[Any, None]:
                x, v = carry
                wrong_x = x - h * v - x_known
                wrong_v = v - h * (damping * (1 - x**2) * v - stiffness * x + push_t) - v_known
                to_x = h * (2 * damping * x * v + stiffness)
                to_v = 1 - h * damping * (1 - x**2)
                size = to_v + h * to_x
                return (x - (to_v * wrong_x + h * wrong_v) / size, v - (wrong_v - to_x * wrong_x) / size), None

            (x, v), _ = lax.scan(newton, (2 * x_1 - x_2, 2 * v_1 - v_2), None, rounds)
            return (x_1, x, v_1, v), x

        zeros = jnp.zeros_like(start)
        x = lax.scan(step, (start, start, zeros, zeros), push)[1]
        return ((x - seen) ** 2).mean()

    value, slopes = jax.value_and_grad(cost)(parameters)
    return [value, *slopes]


def _stiff_oscillator_tuned(
    push: Any, seen: Any, apart: Any, damping: Any, stiffness: Any, start: Any, rounds: int
) -> list[Any]:
    """Newton's rounds one after the other in one step; slopes from the equation that the rounds solve instead of from
    the rounds, by a loop that goes back with factors known before it."""
    h = 2 / 3 * apart
    zeros = jnp.zeros_like(start)

    def step(carry: tuple[Any, ...], push_t: Any) -> tuple[Any, Any]:
        x_2, x_1, v_2, v_1 = carry
        x_known, v_known = (4 * x_1 - x_2) / 3, (4 * v_1 - v_2) / 3
        x, v = 2 * x_1 - x_2, 2 * v_1 - v_2
        known = v_known + h * push_t
        for _ in range(rounds):
            drag = (h * damping) * (1 - x * x)
            to_x = 2 * (h * damping) * x * v + h * stiffness
            to_v = 1 - drag
            wrong_x = x - h * v - x_known
            wrong_v = v * to_v + h * stiffness * x - known
            inverse = 1 / (to_v + h * to_x)
            x, v = x - (to_v * wrong_x + h * wrong_v) * inverse, v - (wrong_v - to_x * wrong_x) * inverse
        return (x_1, x, v_1, v), (x, v)

    x, v = lax.scan(step, (start, start, zeros, zeros), push)[1]
    error = x - seen
    pull = 2 / error.size * error
    to_x = 2 * (h * damping) * x * v + h * stiffness
    to_v = 1 - (h * damping) * (1 - x * x)
    inverse = 1 / (to_v + h * to_x)
    factors = (pull, to_v * inverse, to_x * inverse, h * inverse, inverse)

    def back(carry: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[Any, Any]:
        x_2, x_1, v_2, v_1 = carry
        pull_t, xx, vx, xv, vv = now
        of_x, of_v = x_1 + pull_t, v_1
        on_x, on_v = xx * of_x - vx * of_v, xv * of_x + vv * of_v
        return (-on_x / 3, x_2 + 4 / 3 * on_x, -on_v / 3, v_2 + 4 / 3 * on_v), on_v

    (x_2, x_1, *_), on_v = lax.scan(back, (zeros,) * 4, factors, reverse=True)
    of_damping, of_stiffness = h * (on_v * (1 - x * x) * v).sum(), -h * (on_v * x).sum()
    return [(error**2).mean(), of_damping, of_stiffness, x_1 + x_2]


WORKLOADS = (
    task(
        "arnoldi",
        "basis of 61 vectors of 300 numbers for a matrix, made orthogonal twice",
        numerics.arnoldi,
        _matrix,
        _arnoldi,
        _arnoldi_tuned,
        close(1e-8),
    ),
    task(
        "quadrature",
        "integral by halving intervals with a stack of those that wait, until none does",
        numerics.quadrature,
        _interval,
        _quadrature,
        _quadrature_tuned,
        close(1e-8),
    ),
    task(
        "pursuit",
        "300 picks among 512 atoms of 128 samples that sum up to a signal",
        numerics.pursuit,
        _sound,
        _pursuit,
        _pursuit_tuned,
        close(1e-8),
    ),
    task(
        "stiff-oscillator-grad",
        "16 stiff oscillators, T=1,000, five rounds of Newton's method each, nested loops, with gradients",
        numerics.stiff_oscillator,
        _oscillators,
        _stiff_oscillator,
        _stiff_oscillator_tuned,
        close(1e-8),
    ),
)
