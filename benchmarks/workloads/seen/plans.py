"""Plans of a car, of an economy with a climate and of a robot's arm, and heat by turns."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.programs.seen import plans
from benchmarks.programs.seen.plans import (
    AVERSION,
    BACKSTOP,
    BEFORE,
    CAPITAL_SHARE,
    DAMAGE,
    DT,
    EFFORT,
    FALL,
    FORCING,
    GOAL,
    KEPT,
    PART,
    YEARS,
)
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _parking(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps = scale.pick(100, quick=12)
    B = np.zeros((4, 2))
    B[2, 0] = B[3, 1] = DT
    start, goal = np.zeros(4), np.array([3.0, 2.0, np.pi / 2, 0.0])
    U = np.stack([np.full(steps, 0.3), np.linspace(1.0, -1.0, steps)], axis=1) + 0.05 * rng.normal(size=(steps, 2))
    return inputs(start, goal, U, B, iterations=scale.steps(20, quick=3))


def _trajectory(start: Any, goal: Any, U: Any, B: Any, iterations: int) -> list[Any]:
    def move(x: Any, u: Any) -> Any:
        way = jnp.array([x[3] * jnp.cos(x[2]), x[3] * jnp.sin(x[2]), 0.0, 0.0])
        return x + DT * way + B @ u

    def back(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[Any, Any]:
        V_x, V_xx = carry
        x, u = now
        A = jax.jacfwd(move)(x, u)
        Q_x, Q_u = A.T @ V_x, EFFORT * u + B.T @ V_x
        Q_ux, Q_uu = B.T @ V_xx @ A, EFFORT * jnp.eye(2) + B.T @ V_xx @ B
        inverse = jnp.linalg.inv(Q_uu)
        k, K = -inverse @ Q_u, -inverse @ Q_ux
        return (Q_x + K.T @ Q_u, A.T @ V_xx @ A + Q_ux.T @ K), (k, K)

    def forth(x: Any, now: tuple[Any, ...]) -> tuple[Any, Any]:
        k, K, u, planned = now
        u = u + PART * k + K @ (x - planned)
        x = move(x, u)
        return x, (x, u)

    def iteration(carry: tuple[Any, Any], _: None) -> tuple[Any, Any]:
        X, U = carry
        before = jnp.concatenate([start[None], X[:-1]])
        last = (GOAL * (X[-1] - goal), GOAL * jnp.eye(4))
        k, K = lax.scan(back, last, (before, U), reverse=True)[1]
        X, U = lax.scan(forth, start, (k, K, U, before))[1]
        return (X, U), 0.5 * EFFORT * (U**2).sum() + 0.5 * GOAL * ((X[-1] - goal) ** 2).sum()

    def first(x: Any, u: Any) -> tuple[Any, Any]:
        x = move(x, u)
        return x, x

    (_, U), cost = lax.scan(iteration, (lax.scan(first, start, U)[1], U), None, iterations)
    return [cost, U]


def _trajectory_tuned(start: Any, goal: Any, U: Any, B: Any, iterations: int) -> list[Any]:
    """What state and controls do in one matrix, for all times before the way back, so that a step has two products; the
    inverse of two by two written out; the feedback of a plan in one vector with its place."""
    steps = len(U)
    effort = jnp.zeros((6, 6)).at[4, 4].set(EFFORT).at[5, 5].set(EFFORT)

    def move(x: Any, u: Any) -> Any:
        way = jnp.stack([x[3] * jnp.cos(x[2]), x[3] * jnp.sin(x[2])])
        return x + jnp.pad(DT * way, (0, 2)) + B[:, 0] * u[0] + B[:, 1] * u[1]

    fixed = jnp.broadcast_to(jnp.concatenate([jnp.eye(4), B], axis=1), (steps, 4, 6))

    def back(V: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        G, effort_u = now
        H = G.T @ V
        Q, q = H[:, :4] @ G + effort, H[:, 4] + effort_u
        q_00, q_01, q_11 = Q[4, 4], Q[4, 5], Q[5, 5]
        inverse = jnp.stack([q_11, -q_01, -q_01, q_00]).reshape(2, 2) / (q_01 * q_01 - q_00 * q_11)
        right = jnp.concatenate([Q[4:, :4], q[4:, None]], axis=1)
        gains = inverse[:, :1] * right[0] + inverse[:, 1:] * right[1]
        left = jnp.concatenate([Q[:4, :4], q[:4, None]], axis=1)
        V = left + Q[4, :4, None] * gains[0] + Q[5, :4, None] * gains[1]
        return V, gains

    def forth(x: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        K, base = now
        u = base + K @ x
        x = move(x, u)
        return x, (x, u)

    def iteration(carry: tuple[Any, Any], _: None) -> tuple[Any, Any]:
        X, U = carry
        before = jnp.concatenate([start[None], X[:-1]])
        cosine, sine, speed = DT * jnp.cos(before[:, 2]), DT * jnp.sin(before[:, 2]), before[:, 3]
        column = jnp.stack([jnp.stack([-speed * sine, cosine], 1), jnp.stack([speed * cosine, sine], 1)], axis=1)
        G = fixed.at[:, :2, 2:4].set(column)
        efforts = jnp.pad(EFFORT * U, ((0, 0), (4, 0)))
        last = GOAL * jnp.concatenate([jnp.eye(4), (X[-1] - goal)[:, None]], axis=1)
        gains = lax.scan(back, last, (G, efforts), reverse=True)[1]
        K = gains[:, :, :4]
        base = U + PART * gains[:, :, 4] - jnp.einsum("tij,tj->ti", K, before)
        X, U = lax.scan(forth, start, (K, base))[1]
        return (X, U), 0.5 * EFFORT * (U**2).sum() + 0.5 * GOAL * ((X[-1] - goal) ** 2).sum()

    def first(x: Any, u: Any) -> tuple[Any, Any]:
        x = move(x, u)
        return x, x

    (_, U), cost = lax.scan(iteration, (lax.scan(first, start, U)[1], U), None, iterations)
    return [cost, U]


def _economy(rng: np.random.Generator, scale: Scale) -> Inputs:
    periods, draws = scale.steps(100, quick=6), scale.pick(200, quick=4)
    t = np.arange(periods)
    people = 11.5 - (11.5 - 7.4) * np.exp(-0.13 * t)
    skill = 5.1 * np.exp(0.076 * (1 - np.exp(-0.025 * t)) / 0.025)
    intensity = 0.35 * np.exp(-0.0152 * 5 * t)
    price = 0.074 * np.exp(-0.025 * t) * intensity / 0.35
    other, land = np.minimum(0.5 + 0.03 * t, 1.0), 2.6 * 0.885**t
    avoided, invested = np.minimum(0.03 + 0.02 * t, 0.95), np.full(periods, 0.25)
    sensitivity = np.exp(np.log(3.1) + 0.25 * rng.normal(size=draws))
    carbon = np.array([[0.88, 0.196, 0.0], [0.12, 0.797, 0.0014651], [0.0, 0.007, 0.9985349]])
    patience = 1.015 ** (-5.0 * t)
    return inputs(avoided, invested, sensitivity, people, skill, intensity, price, other, land, patience, carbon)


def _climate_economy(avoided: Any, invested: Any, sensitivity: Any, *given: Any) -> list[Any]:
    *given, carbon = given

    def welfare(avoided: Any, invested: Any) -> Any:
        def period(state: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[Any, Any]:
            capital, stocks, warmth, depth = state
            avoided_t, invested_t, people_t, skill_t, intensity_t, price_t, other_t, land_t, patience_t = now
            gross = skill_t * people_t ** (1 - CAPITAL_SHARE) * capital**CAPITAL_SHARE
            net = gross * (1 - price_t * avoided_t**BACKSTOP) / (1 + DAMAGE * warmth**2)
            emitted = intensity_t * (1 - avoided_t) * gross + land_t
            spent = (1 - invested_t) * net / people_t
            gained = patience_t * people_t * (spent ** (1 - AVERSION) - 1) / (1 - AVERSION)
            forcing = FORCING * jnp.log2(stocks[0] / BEFORE) + other_t
            new_warmth = warmth + 0.1005 * (forcing - FORCING / sensitivity * warmth - 0.088 * (warmth - depth))
            new_depth = depth + 0.025 * (warmth - depth)
            stocks = (carbon @ stocks).at[0].add(YEARS * emitted / 3.666)
            capital = KEPT * capital + YEARS * invested_t * net
            return (capital, stocks, new_warmth, new_depth), gained

        same = jnp.zeros_like(sensitivity)
        stocks = jnp.stack([same + value for value in (851.0, 460.0, 1740.0)])
        start = (same + 223.0, stocks, same + 0.85, same + 0.0068)
        return lax.scan(period, start, (avoided, invested, *given))[1].sum(axis=0).mean()

    value, slopes = jax.value_and_grad(welfare, argnums=(0, 1))(avoided, invested)
    return [value, *slopes]


def _climate_economy_tuned(avoided: Any, invested: Any, sensitivity: Any, *given: Any) -> list[Any]:
    """All that depends on time alone before the loop, in the logarithm of capital's power; welfare after the loop; the
    way back is written out and reads what the way forth has kept; gradients in plans as sums after it."""
    people, skill, intensity, price, other, land, patience, carbon = given
    draws = len(sensitivity)
    power = skill * people ** (1 - CAPITAL_SHARE)
    left = 1 - price * avoided**BACKSTOP
    emits = YEARS / 3.666 * intensity * (1 - avoided)
    brought = YEARS / 3.666 * land
    cools = FORCING / sensitivity
    per_log = FORCING / np.log(2)
    c = [[carbon[i, j] for j in range(3)] for i in range(3)]

    def period(state: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[Any, Any]:
        capital, air, upper, lower, warmth, depth = state
        power_t, left_t, emits_t, brought_t, other_t, invested_t = now
        gross = power_t * jnp.exp(CAPITAL_SHARE * jnp.log(capital))
        harm = 1 / (1 + DAMAGE * (warmth * warmth))
        net = gross * left_t * harm
        forcing = per_log * jnp.log(air * (1 / BEFORE)) + other_t
        after = (
            KEPT * capital + YEARS * invested_t * net,
            c[0][0] * air + c[0][1] * upper + emits_t * gross + brought_t,
            c[1][0] * air + c[1][1] * upper + c[1][2] * lower,
            c[2][1] * upper + c[2][2] * lower,
            warmth + 0.1005 * (forcing - cools * warmth - 0.088 * (warmth - depth)),
            depth + 0.025 * (warmth - depth),
        )
        return after, (capital, air, warmth, gross, harm, net)

    same = jnp.zeros_like(sensitivity)
    start = tuple(same + value for value in (223.0, 851.0, 460.0, 1740.0, 0.85, 0.0068))
    capital, air, warmth, gross, harm, net = lax.scan(period, start, (power, left, emits, brought, other, invested))[1]
    share = (1 - invested) / people
    spent = share[:, None] * net
    worth = spent**-AVERSION
    scaled = patience * people / draws
    value = (scaled[:, None] * (spent * worth - 1)).sum() / (1 - AVERSION)
    of_spent = scaled[:, None] * worth

    def back(slopes: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[Any, Any]:
        of_capital, of_air, of_upper, of_lower, of_warmth, of_depth = slopes
        capital, air, warmth, gross, harm, net, gained, left_t, emits_t, invested_t = now
        of_net = gained + (YEARS * invested_t) * of_capital
        of_gross = of_net * (left_t * harm) + of_air * emits_t
        before = (
            KEPT * of_capital + of_gross * gross * (CAPITAL_SHARE / capital),
            c[0][0] * of_air + c[1][0] * of_upper + (0.1005 * per_log) * (of_warmth / air),
            c[0][1] * of_air + c[1][1] * of_upper + c[2][1] * of_lower,
            c[1][2] * of_upper + c[2][2] * of_lower,
            of_warmth * (1 - 0.1005 * (cools + 0.088)) + 0.025 * of_depth - (2 * DAMAGE) * of_net * net * harm * warmth,
            (0.1005 * 0.088) * of_warmth + (1 - 0.025) * of_depth,
        )
        return before, (of_net, of_air, of_capital)

    kept = (capital, air, warmth, gross, harm, net, share[:, None] * of_spent, left, emits, invested)
    of_net, of_air, of_capital = lax.scan(back, (same,) * 6, kept, reverse=True)[1]
    of_left, of_emits = (of_net * gross * harm).sum(axis=1), (of_air * gross).sum(axis=1)
    of_avoided = -price * BACKSTOP * avoided ** (BACKSTOP - 1) * of_left - YEARS / 3.666 * intensity * of_emits
    of_invested = YEARS * (of_capital * net).sum(axis=1) - (of_spent * net).sum(axis=1) / people
    return [value, of_avoided, of_invested]


def _arm(rng: np.random.Generator, scale: Scale) -> Inputs:
    times, links, size = scale.pick((500, 7, 12), quick=(5, 3, 3))
    time, rate = np.linspace(0, 1, times)[:, None], np.pi * np.arange(1, size + 1)
    basis = np.stack([np.sin(rate * time), rate * np.cos(rate * time), -(rate**2) * np.sin(rate * time)])
    coefficient = rng.normal(size=(size, links)) / np.arange(1, size + 1)[:, None] ** 2
    turned = np.stack([np.linalg.qr(rng.normal(size=(3, 3)))[0] for _ in range(links)])
    turned *= np.linalg.det(turned)[:, None, None]
    offset, center, mass = 0.3 * rng.normal(size=(links, 3)), 0.1 * rng.normal(size=(links, 3)), 1 + rng.random(links)
    root = 0.1 * rng.normal(size=(links, 3, 3))
    own = root @ root.transpose(0, 2, 1) + 0.01 * np.eye(3)
    moves, inertia = np.zeros((3, links, 6, 6)), np.zeros((links, 6, 6))
    parts = [np.diag([1.0, 1.0, 0.0]), np.zeros((3, 3)), np.diag([0.0, 0.0, 1.0])]
    parts[1][0, 1], parts[1][1, 0] = 1, -1
    for k in range(links):
        there, at_center = _crossing(offset[k]), _crossing(center[k])
        tree = np.block([[turned[k].T, np.zeros((3, 3))], [-turned[k].T @ there, turned[k].T]])
        moves[:, k] = [np.kron(np.eye(2), part) @ tree for part in parts]
        below = mass[k] * at_center
        inertia[k] = np.block([[own[k] - below @ at_center, below], [below.T, mass[k] * np.eye(3)]])
    return inputs(basis, coefficient, moves, inertia)


def _crossing(by: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.array([[0, -by[2], by[1]], [by[2], 0, -by[0]], [-by[1], by[0], 0]])


def _robot_arm(basis: Any, coefficient: Any, moves: Any, inertia: Any) -> list[Any]:
    axis = jnp.zeros(6).at[2].set(1.0)

    def cost(coefficient: Any) -> Any:
        angle, speed, growth = ((one @ coefficient).T for one in basis)
        cosine, sine = jnp.cos(angle)[:, :, None, None], jnp.sin(angle)[:, :, None, None]
        across, along, rest = moves[:, :, None]
        X = cosine * across + sine * along + rest

        def outward(carry: tuple[Any, Any], now: tuple[Any, ...]) -> tuple[Any, Any]:
            v, a = carry
            X_l, speed_l, growth_l, I = now  # noqa: E741
            spin = speed_l[:, None] * axis
            v = jnp.einsum("tij,tj->ti", X_l, v) + spin
            turning = jnp.concatenate([jnp.cross(v[:, :3], spin[:, :3]), jnp.cross(v[:, 3:], spin[:, :3])], axis=1)
            a = jnp.einsum("tij,tj->ti", X_l, a) + growth_l[:, None] * axis + turning
            h = v @ I
            moment = jnp.cross(v[:, :3], h[:, :3]) + jnp.cross(v[:, 3:], h[:, 3:])
            return (v, a), a @ I + jnp.concatenate([moment, jnp.cross(v[:, :3], h[:, 3:])], axis=1)

        def inward(force: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
            X_l, force_l = now
            force = force + force_l
            return jnp.einsum("tji,tj->ti", X_l, force), force[:, 2]

        still = jnp.zeros((basis.shape[1], 6))
        force = lax.scan(outward, (still, still.at[:, 5].set(FALL)), (X, speed, growth, inertia))[1]
        return (lax.scan(inward, still, (X, force), reverse=True)[1] ** 2).mean()

    return list(jax.value_and_grad(cost)(coefficient))


def _robot_arm_tuned(basis: Any, coefficient: Any, moves: Any, inertia: Any) -> list[Any]:
    """Times in the last axis, and one product of the three parts with speeds and accelerations of all times instead of
    a matrix for each time."""
    links, times = len(inertia), basis.shape[1]
    parts = moves.transpose(1, 0, 2, 3).reshape(links, 18, 6)

    def cross(a: Any, b: Any) -> list[Any]:
        return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]

    def cost(angles: Any) -> Any:
        angle, speed, growth = angles
        cosine, sine = jnp.cos(angle), jnp.sin(angle)
        zero = jnp.zeros(times)

        def outward(both: Any, now: tuple[Any, ...]) -> tuple[Any, Any]:
            parts_l, cos, sin, speed_l, growth_l, I = now  # noqa: E741
            found = parts_l @ both
            found = jnp.tile(cos, 2) * found[:6] + jnp.tile(sin, 2) * found[6:12] + found[12:]
            v, a = found[:, :times], found[:, times:]
            v = v + jnp.stack([zero, zero, speed_l, zero, zero, zero])
            turning = [speed_l * v[1], -speed_l * v[0], growth_l, speed_l * v[4], -speed_l * v[3], zero]
            both = jnp.concatenate([v, a + jnp.stack(turning)], axis=1)
            momentum = I @ both
            h = momentum[:, :times]
            moment = [one + other for one, other in zip(cross(v[:3], h[:3]), cross(v[3:], h[3:]), strict=True)]
            return both, momentum[:, times:] + jnp.stack([*moment, *cross(v[:3], h[3:])])

        def inward(force: Any, now: tuple[Any, ...]) -> tuple[Any, Any]:
            parts_l, cos, sin, force_l = now
            force = force + force_l
            return parts_l.T @ jnp.concatenate([cos * force, sin * force, force]), force[2]

        start = jnp.zeros((6, 2 * times)).at[5, times:].set(FALL)
        force = lax.scan(outward, start, (parts, cosine, sine, speed, growth, inertia))[1]
        torque = lax.scan(inward, jnp.zeros((6, times)), (parts, cosine, sine, force), reverse=True)[1]
        return (torque * torque).mean()

    angles = jnp.einsum("otc,cl->olt", basis, coefficient)
    value, slopes = jax.value_and_grad(cost)(angles)
    return [value, jnp.einsum("otc,olt->cl", basis, slopes)]


def _plate(rng: np.random.Generator, scale: Scale) -> Inputs:
    rows, columns = scale.pick((96, 96), quick=(7, 5))
    u = np.zeros((rows, columns))
    u[rows // 3 : rows // 2, columns // 3 : columns // 2] = 1
    conducts = np.exp(rng.normal(size=(rows, columns)))
    return inputs(u, conducts, np.float64(2.0), steps=scale.steps(50, quick=3))


def _sides(conducts: Any, rate: Any) -> tuple[Any, Any]:
    between = rate * (conducts[1:] + conducts[:-1]) / 2
    return jnp.pad(between, ((1, 0), (0, 0))), jnp.pad(between, ((0, 1), (0, 0)))


def _flow(first: Any, second: Any, u: Any) -> Any:
    before, after = jnp.concatenate([u[:1], u[:-1]]), jnp.concatenate([u[1:], u[-1:]])
    return u + first * (before - u) + second * (after - u)


def _alternating_directions(u: Any, conducts: Any, rate: Any, steps: int) -> Any:
    above, below = _sides(conducts, rate)
    left, right = _sides(conducts.T, rate)

    def solve(above: Any, below: Any, known: Any) -> Any:
        def down(carry: tuple[Any, Any], now: tuple[Any, ...]) -> tuple[Any, Any]:
            factor, known = carry
            above_r, below_r, known_r = now
            pivot = 1 + above_r + below_r - above_r * factor
            after = (below_r / pivot, (known_r + above_r * known) / pivot)
            return after, after

        def up(next_r: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
            factor_r, known_r = now
            found = known_r + factor_r * next_r
            return found, found

        none = jnp.zeros_like(known[0])
        eliminated = lax.scan(down, (none, none), (above, below, known))[1]
        return lax.scan(up, none, eliminated, reverse=True)[1]

    def step(u: Any, _: None) -> tuple[Any, None]:
        u = solve(above, below, _flow(left, right, u.T).T)
        return solve(left, right, _flow(above, below, u).T).T, None

    return lax.scan(step, u, None, steps)[0]


def _alternating_directions_tuned(u: Any, conducts: Any, rate: Any, steps: int) -> Any:
    """Pivots and factors, which are the same at all times, before the loop over time, so that no division is left in
    it; elimination from both ends to the middle at once, half as many steps of twice as many cells."""

    def folded(first: Any, last: Any) -> Any:
        late = len(first) % 2
        first, last = (jnp.pad(side, ((0, late), (0, 0))) for side in (first, last))
        half = len(first) // 2
        return jnp.concatenate([first[:half], last[half:][::-1]], axis=1)

    def factors(above: Any, below: Any) -> tuple[Any, ...]:
        def down(factor: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
            before_r, after_r = now
            inverse = 1 / (1 + before_r + after_r - before_r * factor)
            return after_r * inverse, (before_r * inverse, inverse, after_r * inverse)

        before, after = folded(above, below), folded(below, above)
        last, given = lax.scan(down, jnp.zeros_like(before[0]), (before, after))
        count = above.shape[1]
        return (*given, last, 1 / (1 - last[:count] * last[count:]))

    def solve(given: tuple[Any, ...], known: Any) -> Any:
        before, inverse, after, last, middle = given
        rows, count = known.shape

        def eliminate(known: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
            factor_r, known_r = now
            known = known_r + factor_r * known
            return known, known

        known = folded(known, known) * inverse
        found, known = lax.scan(eliminate, jnp.zeros_like(known[0]), (before, known))
        turned = jnp.concatenate([found[count:], found[:count]])
        beyond = (turned + jnp.concatenate([last[count:], last[:count]]) * found) * jnp.tile(middle, 2)
        x = lax.scan(eliminate, beyond, (after, known), reverse=True)[1]
        return jnp.concatenate([x[:, :count], x[::-1, count:]])[:rows]

    above, below = _sides(conducts, rate)
    left, right = _sides(conducts.T, rate)
    vertical, horizontal = factors(above, below), factors(left, right)
    left, right = left.T, right.T

    def step(u: Any, _: None) -> tuple[Any, None]:
        before = jnp.concatenate([u[:, :1], u[:, :-1]], axis=1)
        after = jnp.concatenate([u[:, 1:], u[:, -1:]], axis=1)
        u = solve(vertical, u + left * (before - u) + right * (after - u))
        return solve(horizontal, _flow(above, below, u).T).T, None

    return lax.scan(step, u, None, steps)[0]


WORKLOADS = (
    task(
        "trajectory",
        "plan of 100 moves of a car in 20 iterations of quadratic models, nested loops",
        plans.trajectory,
        _parking,
        _trajectory,
        _trajectory_tuned,
        close(1e-6),
    ),
    task(
        "climate-economy-grad",
        "100 periods of an economy and its climate for 200 sensitivities, with gradients in both plans",
        plans.climate_economy,
        _economy,
        _climate_economy,
        _climate_economy_tuned,
        close(1e-7),
    ),
    task(
        "robot-arm-grad",
        "torques of 7 links of an arm at 500 times, with gradient in 84 coefficients of its path",
        plans.robot_arm,
        _arm,
        _robot_arm,
        _robot_arm_tuned,
        close(1e-7),
    ),
    task(
        "alternating-directions",
        "heat in a plate of 96 by 96 cells, 50 steps implicit along columns and rows in turn, nested loops",
        plans.alternating_directions,
        _plate,
        _alternating_directions,
        _alternating_directions_tuned,
        close(1e-8),
    ),
)
