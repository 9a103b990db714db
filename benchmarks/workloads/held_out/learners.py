"""Networks that learn to learn, cells whose pace their inputs set, particles that push each other and a system that is
learned from what was seen of it."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.nn import relu, sigmoid, softplus

from benchmarks.compare import close
from benchmarks.programs.held_out import learners
from benchmarks.programs.held_out.learners import PACE, PART, PRIOR, RATE, SMALL
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _waves(rng: np.random.Generator, scale: Scale) -> Inputs:
    """Sine waves with heights and phases of their own, a few points of each."""
    tasks, points, units = scale.pick((25, 10, 40), quick=(3, 4, 6))
    height, phase = 0.1 + 4.9 * rng.random((tasks, 1, 1)), np.pi * rng.random((tasks, 1, 1))
    x, new_x = 10 * rng.random((2, tasks, points, 1)) - 5
    y, new_y = (height * np.sin(one - phase) for one in (x, new_x))
    W_1, b_1 = rng.normal(size=(1, units)), rng.normal(size=units)
    W_2, b_2 = rng.normal(size=(units, units)) * np.sqrt(2 / units), 0.1 * rng.normal(size=units)
    W_3, b_3 = rng.normal(size=(units, 1)) / np.sqrt(units), np.zeros(1)
    arrays = (x, y, new_x, new_y, W_1, b_1, W_2, b_2, W_3, b_3)
    return inputs(*(one.astype("float32") for one in arrays), steps=scale.steps(5, quick=3))


def _miss(weights: tuple[Any, ...], x: Any, y: Any) -> Any:
    W_1, b_1, W_2, b_2, W_3, b_3 = weights
    h = relu(x @ W_1 + b_1)
    h = relu(h @ W_2 + b_2)
    return ((h @ W_3 + b_3 - y) ** 2).mean()


def _meta_learning(x: Any, y: Any, new_x: Any, new_y: Any, *weights: Any, steps: int) -> list[Any]:
    def of_task(weights: tuple[Any, ...], x: Any, y: Any, new_x: Any, new_y: Any) -> Any:
        def step(now: tuple[Any, ...], _: None) -> tuple[tuple[Any, ...], None]:
            slopes = jax.grad(_miss)(now, x, y)
            return jax.tree.map(lambda one, slope: one - RATE * slope, now, slopes), None

        return _miss(lax.scan(step, weights, None, steps)[0], new_x, new_y)

    def cost(weights: tuple[Any, ...]) -> Any:
        return jax.vmap(of_task, (None, 0, 0, 0, 0))(weights, x, y, new_x, new_y).mean()

    value, slopes = jax.value_and_grad(cost)(weights)
    return [value, *slopes]


def _meta_learning_tuned(x: Any, y: Any, new_x: Any, new_y: Any, *weights: Any, steps: int) -> list[Any]:
    """Steps one after the other without a loop, so that no array of all of them is written and the first has one
    product for all tasks, as all start from the same weights."""

    def of_task(weights: tuple[Any, ...], x: Any, y: Any, new_x: Any, new_y: Any) -> Any:
        for _ in range(steps):
            slopes = jax.grad(_miss)(weights, x, y)
            weights = jax.tree.map(lambda one, slope: one - RATE * slope, weights, slopes)
        return _miss(weights, new_x, new_y)

    def cost(weights: tuple[Any, ...]) -> Any:
        return jax.vmap(of_task, (None, 0, 0, 0, 0))(weights, x, y, new_x, new_y).mean()

    value, slopes = jax.value_and_grad(cost)(weights)
    return [value, *slopes]


def _walkers(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, batch, given, units, out = scale.pick((60, 16, 12, 48, 8), quick=(6, 3, 4, 5, 2))
    x = np.cumsum(rng.normal(size=(scale.steps(steps), batch, given)), axis=0) / 4
    wanted = np.sin(x @ rng.normal(size=(given, out)) / 2)
    W, U = rng.normal(size=(given, units)) / np.sqrt(given), rng.normal(size=(units, units)) / np.sqrt(units)
    b, pull, leak = rng.normal(size=(3, units))
    W_out = rng.normal(size=(units, out)) / np.sqrt(units)
    return inputs(*(one.astype("float32") for one in (x, wanted, W, U, b, pull, leak, W_out)), parts=6)


def _liquid_network(x: Any, wanted: Any, *weights: Any, parts: int) -> list[Any]:
    def cost(weights: tuple[Any, ...]) -> Any:
        W, U, b, pull, leak, W_out = weights
        pace = softplus(leak)

        def step(h: Any, x_t: Any) -> tuple[Any, Any]:
            def part(h: Any, _: None) -> tuple[Any, None]:
                gate = sigmoid(x_t @ W + h @ U + b)
                return (h + PART * gate * pull) / (1 + PART * (pace + gate)), None

            h, _ = lax.scan(part, h, None, parts)
            return h, h

        _, h = lax.scan(step, jnp.zeros((x.shape[1], len(U)), "float32"), x)
        return ((h @ W_out - wanted) ** 2).mean()

    value, slopes = jax.value_and_grad(cost)(weights)
    return [value, *slopes]


def _liquid_network_tuned(
    x: Any, wanted: Any, W: Any, U: Any, b: Any, pull: Any, leak: Any, W_out: Any, parts: int
) -> list[Any]:
    """Products with inputs before the loops; the parts of a step without a loop; the way back written out, from states
    and gates, with one product for each matrix after it."""
    pace = softplus(leak)
    shape = x.shape[:2]
    drive = (x.reshape(-1, len(W)) @ W + b).reshape(*shape, -1)

    def step(h: Any, drive_t: Any) -> tuple[Any, tuple[Any, Any]]:
        states, gates = [], []
        for _ in range(parts):
            gate = sigmoid(drive_t + h @ U)
            states.append(h)
            gates.append(gate)
            h = (h + PART * gate * pull) / (1 + PART * (pace + gate))
        return h, (jnp.stack(states), jnp.stack(gates))

    last, (states, gates) = lax.scan(step, jnp.zeros((shape[1], len(U)), "float32"), drive)
    h = jnp.concatenate([states[1:, 0], last[None]])
    flat = h.reshape(-1, len(U))
    miss = flat @ W_out - wanted.reshape(-1, wanted.shape[2])
    of_out = (2 / miss.size) * miss
    of_h = (of_out @ W_out.T).reshape(h.shape)
    back_U = U.T

    def back(of_state: Any, now: tuple[Any, ...]) -> tuple[Any, tuple[Any, Any]]:
        h, gate, of_h_t, after = now
        of_state = of_state + of_h_t
        ofs, kept = [], []
        for k in reversed(range(parts)):
            of_above = of_state / (1 + PART * (pace + gate[k]))
            of_inner = (PART * of_above) * (pull - after) * (gate[k] * (1 - gate[k]))
            of_state = of_above + of_inner @ back_U
            after = h[k]
            ofs.append(of_inner)
            kept.append(of_above)
        return of_state, (jnp.stack(ofs[::-1]), jnp.stack(kept[::-1]))

    _, (of_inner, of_above) = lax.scan(back, jnp.zeros_like(last), (states, gates, of_h, h), reverse=True)
    after = jnp.concatenate([states[:, 1:], h[:, None]], axis=1)
    of_drive = of_inner.sum(axis=1).reshape(-1, len(U))
    slopes = [
        x.reshape(-1, len(W)).T @ of_drive,
        states.reshape(-1, len(U)).T @ of_inner.reshape(-1, len(U)),
        of_drive.sum(axis=0),
        PART * (of_above * gates).sum(axis=(0, 1, 2)),
        -PART * (of_above * after).sum(axis=(0, 1, 2)) * sigmoid(leak),
        flat.T @ of_out,
    ]
    return [(miss**2).mean(), *slopes]


def _rows(rng: np.random.Generator, scale: Scale) -> Inputs:
    rows, weights, count = scale.pick((300, 20, 50), quick=(30, 4, 8))
    X = rng.normal(size=(rows, weights))
    y = (rng.random(rows) < 1 / (1 + np.exp(-X @ rng.normal(size=weights)))).astype("float64")
    return inputs(X, y, rng.normal(size=(count, weights)), steps=scale.steps(200, quick=30))


def _pushed_particles(X: Any, y: Any, start: Any, steps: int) -> list[Any]:
    count = len(start)

    def step(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], None]:
        w, past = carry
        slope = (y - sigmoid(w @ X.T)) @ X - PRIOR * w
        square = (w**2).sum(axis=1)
        apart = jnp.maximum(square[:, None] + square - 2 * w @ w.T, 0)
        width = jnp.sort(apart.ravel())[count * count // 2] / jnp.log(count + 1)
        K = jnp.exp(-apart / width)
        push = (K @ slope + 2 / width * (w * K.sum(axis=1, keepdims=True) - K @ w)) / count
        past = past + push**2
        return (w + PACE * push / (SMALL + jnp.sqrt(past)), past), None

    (w, _), _ = lax.scan(step, (start, jnp.zeros_like(start)), None, steps)
    return [w, sigmoid(w @ X.T).mean(axis=0)]


def _pushed_particles_tuned(X: Any, y: Any, start: Any, steps: int) -> list[Any]:
    """The median is that of pairs, each once, by halves of what is left of their bits as whole numbers; both products
    with the kernel are one."""
    count = len(start)
    one, other = np.triu_indices(count, 1)
    wanted = (count * count // 2 - count) // 2 + 1
    across = X.T

    def median(values: Any) -> Any:
        bits = lax.bitcast_convert_type(values, "int64")

        def halve(ends: tuple[Any, Any]) -> tuple[Any, Any]:
            low, high = ends
            middle = low + ((high - low) >> 1)
            enough = (bits <= middle).sum(dtype="int32") >= wanted
            return jnp.where(enough, low, middle + 1), jnp.where(enough, middle, high)

        ends = (jnp.int64(0), bits.max())
        found = lax.while_loop(lambda ends: ends[0] < ends[1], halve, ends)[0]
        return lax.bitcast_convert_type(found, "float64")

    def step(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], None]:
        w, past = carry
        slope = (y - sigmoid(w @ across)) @ X
        square = (w**2).sum(axis=1)
        apart = jnp.maximum(square[:, None] + square - 2 * w @ w.T, 0)
        width = median(apart[one, other]) / np.log(count + 1)
        K = jnp.exp(-apart / width)
        push = K @ (slope - (PRIOR + 2 / width) * w) + (2 / width) * (w * K.sum(axis=1, keepdims=True))
        push = push / count
        past = past + push**2
        return (w + PACE * push / (SMALL + jnp.sqrt(past)), past), None

    (w, _), _ = lax.scan(step, (start, jnp.zeros_like(start)), None, steps)
    return [w, sigmoid(w @ across).mean(axis=0)]


def _system(rng: np.random.Generator, scale: Scale) -> Inputs:
    """Two hidden numbers that turn around, three values that show them, a fifth of them missing."""
    steps, values = scale.steps(200, quick=40), 3
    A = 0.95 * np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    C = np.array([[1.0, 0.0], [0.0, 1.0], [0.7, 0.7]])
    x, y = np.zeros(2), np.zeros((steps, values))
    for t in range(steps):
        x = A @ x + 0.4 * rng.normal(size=2)
        y[t] = C @ x + np.array([0.3, 0.5, 0.4]) * rng.normal(size=values)
    seen = (rng.random(y.shape) < 0.8).astype("float64")
    guess = (0.7 * np.eye(2), 0.5 * np.eye(2), np.full(values, 0.5))
    return inputs(y * seen, seen, C, *guess, np.zeros(2), np.eye(2), np.array(1e-4), most=scale.pick(60, quick=20))


def _gaps(
    y: Any, seen: Any, C: Any, A: Any, Q: Any, R: Any, x_0: Any, P_0: Any, tolerance: Any, most: int
) -> list[Any]:
    def round_of(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        A, Q, R, last, _, rounds = carry

        def forth(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[tuple[Any, Any], tuple[Any, ...]]:
            y_t, seen_t = now
            x, P = A @ carry[0], A @ carry[1] @ A.T + Q
            H = C * seen_t[:, None]
            S = H @ P @ H.T + jnp.diag(R * seen_t + 1 - seen_t)
            error = y_t - H @ x
            gain = jnp.linalg.solve(S, H @ P).T
            score = -(jnp.linalg.slogdet(S)[1] + error @ jnp.linalg.solve(S, error)) / 2
            new = (x + gain @ error, P - gain @ H @ P)
            return new, (*new, x, P, score)

        (x_last, P_last), (x, P, x_before, P_before, score) = lax.scan(forth, (x_0, P_0), (y, seen))

        def back(carry: tuple[Any, Any], now: tuple[Any, ...]) -> tuple[tuple[Any, Any], tuple[Any, ...]]:
            x_s, P_s = carry
            x_t, P_t, x_next, P_next = now
            J = jnp.linalg.solve(P_next, A @ P_t).T
            new = (x_t + J @ (x_s - x_next), P_t + J @ (P_s - P_next) @ J.T)
            return new, (*new, P_s @ J.T)

        sequences = (x[:-1], P[:-1], x_before[1:], P_before[1:])
        _, (xs, Ps, both) = lax.scan(back, (x_last, P_last), sequences, reverse=True)
        xs, Ps = jnp.concatenate([xs, x_last[None]]), jnp.concatenate([Ps, P_last[None]])
        before = Ps[:-1].sum(axis=0) + xs[:-1].T @ xs[:-1]
        after = Ps[1:].sum(axis=0) + xs[1:].T @ xs[1:]
        cross = both.sum(axis=0) + xs[1:].T @ xs[:-1]
        new_A = jnp.linalg.solve(before, cross.T).T
        new_Q = (after - new_A @ cross.T) / (len(y) - 1)
        square = (y - xs @ C.T) ** 2 + jnp.einsum("ij,tjk,ik->ti", C, Ps, C)
        new_R = jnp.where(seen > 0, square, R).mean(axis=0)
        total = score.sum()
        rests = abs(total - last) < tolerance * abs(total)
        return new_A, (new_Q + new_Q.T) / 2, new_R, total, rests, rounds + 1

    start = (A, Q, R, jnp.array(-1e9), False, 0)
    return list(lax.while_loop(lambda carry: ~carry[4] & (carry[5] < most), round_of, start)[:4])


def _gaps_tuned(
    y: Any, seen: Any, C: Any, A: Any, Q: Any, R: Any, x_0: Any, P_0: Any, tolerance: Any, most: int
) -> list[Any]:
    """Values one by one, so that a division takes the place of each system, and all numbers apart; matrices of the way
    back for all times at once, before its loop."""
    values, given = len(R), jnp.concatenate([y, seen], axis=1)

    def round_of(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        A, Q, R, last, _, rounds = carry
        (a, b), (c, d) = A

        def forth(carry: tuple[Any, ...], now: Any) -> tuple[tuple[Any, ...], Any]:
            x, z, p, q, r = carry
            x, z = a * x + b * z, c * x + d * z
            one, other, third, fourth = a * p + b * q, a * q + b * r, c * p + d * q, c * q + d * r
            p, q, r = one * a + other * b + Q[0, 0], one * c + other * d + Q[0, 1], third * c + fourth * d + Q[1, 1]
            kept = [x, z, p, q, r]
            for k in range(values):
                g, h = C[k, 0] * p + C[k, 1] * q, C[k, 0] * q + C[k, 1] * r
                spread = C[k, 0] * g + C[k, 1] * h + R[k]
                share = now[values + k] / spread
                error = now[k] - C[k, 0] * x - C[k, 1] * z
                x, z = x + share * g * error, z + share * h * error
                p, q, r = p - share * g * g, q - share * g * h, r - share * h * h
                kept += [spread, share * error * error]
            return (x, z, p, q, r), jnp.stack([*kept, x, z, p, q, r])

        start = (*x_0, P_0[0, 0], P_0[0, 1], P_0[1, 1])
        end, kept = lax.scan(forth, start, given)
        ahead, found = kept.T[:5], kept.T[-5:]
        total = -((seen * jnp.log(kept[:, 5:-5:2])).sum() + kept[:, 6:-5:2].sum()) / 2

        x, z, p, q, r = (one[:-1] for one in found)
        x_n, z_n, p_n, q_n, r_n = (one[1:] for one in ahead)
        inverse = 1 / (p_n * r_n - q_n * q_n)
        rows = [(p * a + q * b, p * c + q * d), (q * a + r * b, q * c + r * d)]
        (e, f), (g, h) = (((m * r_n - n * q_n) * inverse, (n * p_n - m * q_n) * inverse) for m, n in rows)
        own = (x - e * x_n - f * z_n, z - g * x_n - h * z_n)
        fixed = (
            p - (e * e * p_n + 2 * e * f * q_n + f * f * r_n),
            q - (e * g * p_n + (e * h + f * g) * q_n + f * h * r_n),
            r - (g * g * p_n + 2 * g * h * q_n + h * h * r_n),
        )

        def back(carry: tuple[Any, ...], now: Any) -> tuple[tuple[Any, ...], Any]:
            x, z, p, q, r = carry
            e, f, g, h, x_own, z_own, p_own, q_own, r_own = now
            m, n, u, v = e * p + f * q, e * q + f * r, g * p + h * q, g * q + h * r
            new = (e * x + f * z + x_own, g * x + h * z + z_own)
            new = (*new, m * e + n * f + p_own, m * g + n * h + q_own, u * g + v * h + r_own)
            return new, jnp.stack([*new, m, u, n, v])

        _, smooth = lax.scan(back, end, jnp.stack([e, f, g, h, *own, *fixed], axis=1), reverse=True)
        x, z, p, q, r = jnp.concatenate([smooth.T[:5], jnp.stack(end)[:, None]], axis=1)
        m, u, n, v = smooth[:, 5:].sum(axis=0)
        X = jnp.stack([x, z], axis=1)
        S = jnp.stack([jnp.stack([p, q]), jnp.stack([q, r])])
        total_S, products = S.sum(axis=2), X.T @ X
        before = total_S - S[:, :, -1] + products - jnp.outer(X[-1], X[-1])
        after = total_S - S[:, :, 0] + products - jnp.outer(X[0], X[0])
        cross = jnp.array([[m, u], [n, v]]) + X[1:].T @ X[:-1]
        new_A = jnp.linalg.solve(before, cross.T).T
        new_Q = (after - new_A @ cross.T) / (len(y) - 1)
        square = (y - X @ C.T) ** 2 + jnp.outer(p, C[:, 0] ** 2) + jnp.outer(r, C[:, 1] ** 2)
        square = square + jnp.outer(q, 2 * C[:, 0] * C[:, 1])
        new_R = jnp.where(seen > 0, square, R).mean(axis=0)
        rests = abs(total - last) < tolerance * abs(total)
        return new_A, (new_Q + new_Q.T) / 2, new_R, total, rests, rounds + 1

    start = (A, Q, R, jnp.array(-1e9), False, 0)
    return list(lax.while_loop(lambda carry: ~carry[4] & (carry[5] < most), round_of, start)[:4])


WORKLOADS = (
    task(
        "meta-learning-grad",
        "25 tasks of 10 points learned in 5 steps by layers of 40 units, with gradients through these",
        learners.meta_learning,
        _waves,
        _meta_learning,
        _meta_learning_tuned,
        close(1e-3),
    ),
    task(
        "liquid-network-grad",
        "48 cells with time constants of their own, T=60, six parts a step, batch 16, nested loops, with gradients",
        learners.liquid_network,
        _walkers,
        _liquid_network,
        _liquid_network_tuned,
        close(1e-3),
    ),
    task(
        "pushed-particles",
        "50 sets of 20 weights that push each other to the posterior of 300 rows, 200 steps",
        learners.pushed_particles,
        _rows,
        _pushed_particles,
        _pushed_particles_tuned,
        close(1e-6),
    ),
    task(
        "gaps",
        "linear system of two numbers from 200 times three values with gaps, nested loops, until it rests",
        learners.gaps,
        _system,
        _gaps,
        _gaps_tuned,
        close(1e-6),
    ),
)
