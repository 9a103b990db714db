"""Matrices, integrals, signals and stiff equations, float64."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import until

ROOM = 64


def arnoldi(aesara: Any, size: int) -> Any:
    """Orthogonal basis of powers of a matrix times a vector, each made orthogonal twice, and the small matrix that it
    stands for (Arnoldi 1951; Giraud, Langou and Rozloznik 2005)."""
    at = aesara.tensor
    A, b = at.dmatrix("A"), at.dvector("b")

    def step(j: Any, V: Any) -> list[Any]:
        w = at.dot(A, V[j])
        first = at.dot(V, w)
        w = w - at.dot(V.T, first)
        second = at.dot(V, w)
        w = w - at.dot(V.T, second)
        norm = at.sqrt((w**2).sum())
        return [at.set_subtensor(V[j + 1], w / norm), at.set_subtensor((first + second)[j + 1], norm)]

    V = at.zeros((size + 1, b.shape[0]), dtype="float64")
    V = at.set_subtensor(V[0], b / at.sqrt((b**2).sum()))
    (V, H), updates = aesara.scan(step, sequences=at.arange(size), outputs_info=[V, None])
    return aesara.function([A, b], [H, V[-1]], updates=updates)


def quadrature(aesara: Any, most: int) -> Any:
    """Integral by Simpson's rule on intervals that are halved until they are fine enough (Kuncir 1962), with a stack of
    those that wait, and the number of intervals looked at. A row of the stack has both ends, three values and the
    rule."""
    at = aesara.tensor
    left, right, tolerance = at.dscalar("left"), at.dscalar("right"), at.dscalar("tolerance")

    def f(x: Any) -> Any:
        return at.sin(1 / x) * at.exp(-x)

    def rule(a: Any, b: Any, f_a: Any, f_m: Any, f_b: Any) -> Any:
        return (b - a) / 6 * (f_a + 4 * f_m + f_b)

    def step(stack: Any, top: Any, total: Any, count: Any) -> Any:
        row = stack[top]
        a, b, f_a, f_m, f_b, whole = (row[k] for k in range(6))
        m = (a + b) / 2
        f_1, f_2 = f((a + m) / 2), f((m + b) / 2)
        first, second = rule(a, m, f_a, f_1, f_m), rule(m, b, f_m, f_2, f_b)
        error = first + second - whole
        fine = abs(error) <= 15 * tolerance * (b - a) / (right - left)
        total = at.switch(fine, total + first + second + error / 15, total)
        halves = at.stack([at.stack([a, m, f_a, f_1, f_m, first]), at.stack([m, b, f_m, f_2, f_b, second])])
        stack = at.set_subtensor(stack[top], halves[0])
        stack = at.set_subtensor(stack[top + 1], halves[1])
        top = at.switch(fine, top - 1, top + 1)
        return [stack, top, total, count + 1], until(aesara, top < 0)

    f_a, f_m, f_b = f(left), f((left + right) / 2), f(right)
    row = at.stack([left, right, f_a, f_m, f_b, rule(left, right, f_a, f_m, f_b)])
    stack = at.set_subtensor(at.zeros((ROOM, 6), dtype="float64")[0], row)
    zero = at.constant(0, dtype="int32")
    (_, _, total, count), updates = aesara.scan(
        step, outputs_info=[stack, zero, at.zeros((), dtype="float64"), zero], n_steps=most
    )
    return aesara.function([left, right, tolerance], [total[-1], count[-1]], updates=updates)


def pursuit(aesara: Any, picks: int) -> Any:
    """Weights of a sum of atoms that is close to a signal, each time of the atom that is most alike to what is left
    (Mallat and Zhang 1993), and what is left after each pick."""
    at = aesara.tensor
    atoms, signal = at.dmatrix("atoms"), at.dvector("signal")

    def pick(left: Any, weight: Any) -> list[Any]:
        alike = at.dot(atoms, left)
        k = at.argmax(abs(alike))
        left = left - alike[k] * atoms[k]
        return [left, at.inc_subtensor(weight[k], alike[k]), (left**2).sum()]

    start = [signal, at.zeros_like(atoms[:, 0]), None]
    (_, weight, rest), updates = aesara.scan(pick, outputs_info=start, n_steps=picks)
    return aesara.function([atoms, signal], [weight[-1], rest], updates=updates)


def stiff_oscillator(aesara: Any, rounds: int) -> Any:
    """Squared error of oscillators with stiff damping (Van der Pol 1926) to observations, by the backward formula of
    order two (Curtiss and Hirschfelder 1952) with rounds of Newton's method in each step, and its gradient in damping,
    stiffness and start. ``push (time, oscillator)`` moves them."""
    at = aesara.tensor
    push, seen, apart = at.dmatrix("push"), at.dmatrix("seen"), at.dscalar("apart")
    parameters = damping, stiffness, start = at.dscalar("damping"), at.dscalar("stiffness"), at.dvector("start")
    h = 2 / 3 * apart

    def step(push_t: Any, x_2: Any, x_1: Any, v_2: Any, v_1: Any) -> list[Any]:
        x_known, v_known = (4 * x_1 - x_2) / 3, (4 * v_1 - v_2) / 3

        def newton(x: Any, v: Any) -> list[Any]:
            wrong_x = x - h * v - x_known
            wrong_v = v - h * (damping * (1 - x**2) * v - stiffness * x + push_t) - v_known
            to_x = h * (2 * damping * x * v + stiffness)
            to_v = 1 - h * damping * (1 - x**2)
            size = to_v + h * to_x
            return [x - (to_v * wrong_x + h * wrong_v) / size, v - (wrong_v - to_x * wrong_x) / size]

        (x, v), _ = aesara.scan(newton, outputs_info=[2 * x_1 - x_2, 2 * v_1 - v_2], n_steps=rounds)
        return [x[-1], v[-1]]

    first = at.stack([start, start])
    lines = [{"initial": one, "taps": [-2, -1]} for one in (first, at.zeros_like(first))]
    (x, _), updates = aesara.scan(step, sequences=push, outputs_info=lines)
    cost = ((x - seen) ** 2).mean()
    return aesara.function(
        [push, seen, apart, *parameters], [cost, *aesara.grad(cost, list(parameters))], updates=updates
    )
