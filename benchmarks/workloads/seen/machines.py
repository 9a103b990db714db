"""Machines that learn, an optimizer and a digest."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import TIGHT, close
from benchmarks.programs.seen import machines
from benchmarks.programs.seen.machines import ENOUGH, NEARLY, PENALTY, SHRINK
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _two_moons(rng: np.random.Generator, scale: Scale) -> Inputs:
    rows = scale.pick(300, quick=16)
    turn, y = np.pi * rng.random(rows), np.where(rng.random(rows) < 0.5, 1.0, -1.0)
    points = np.stack([np.cos(turn) * y + (y < 0), np.sin(turn) * y + 0.5 * (y < 0)], axis=1)
    points += 0.25 * rng.normal(size=points.shape)
    square = ((points[:, None] - points) ** 2).sum(axis=2)
    return inputs(np.exp(-square), y, np.float64(1e-3), most=scale.steps(20_000))


def _support_vectors(K: Any, y: Any, tolerance: Any, most: int) -> list[Any]:
    def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        a, error, count, _ = carry
        below, above = a < PENALTY - NEARLY, a > NEARLY
        rise = jnp.where(jnp.where(y > 0, below, above), -error, -jnp.inf)
        fall = jnp.where(jnp.where(y > 0, above, below), -error, jnp.inf)
        i, j = jnp.argmax(rise), jnp.argmin(fall)
        gap = rise[i] - fall[j]
        by = gap / (K[i, i] + K[j, j] - 2 * K[i, j])
        by = jnp.minimum(by, jnp.where(y[i] > 0, PENALTY - a[i], a[i]))
        by = jnp.minimum(by, jnp.where(y[j] > 0, a[j], PENALTY - a[j]))
        a = a.at[i].add(y[i] * by).at[j].add(-y[j] * by)
        return a, error + by * (K[i] - K[j]), count + 1, gap

    def goes_on(carry: tuple[Any, ...]) -> Any:
        return (carry[2] < most) & (carry[3] >= tolerance)

    start = (jnp.zeros_like(y), -y, jnp.int32(0), jnp.float64(jnp.inf))
    a, error, count, _ = lax.while_loop(goes_on, step, start)
    return [a, error, count]


def _support_vectors_tuned(K: Any, y: Any, tolerance: Any, most: int) -> list[Any]:
    """Weights times ``y``, which lie between two bounds, so that rising and falling need no case; both places by one
    search; reads without a test of places."""
    low, high = jnp.minimum(y, 0.0) * PENALTY, jnp.maximum(y, 0.0) * PENALTY
    own = jnp.diagonal(K)

    def read(array: Any, k: Any) -> Any:
        return array.at[k].get(mode="promise_in_bounds")

    def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        b, error, count, _ = carry
        rise = jnp.where(b < high - NEARLY, error, jnp.inf)
        fall = jnp.where(b > low + NEARLY, -error, jnp.inf)
        i, j = jnp.argmin(jnp.stack([rise, fall]), axis=1)
        row_i, row_j = read(K, i), read(K, j)
        gap = read(error, j) - read(error, i)
        by = gap / (read(own, i) + read(own, j) - 2 * read(row_i, j))
        by = jnp.minimum(by, jnp.minimum(read(high, i) - read(b, i), read(b, j) - read(low, j)))
        b = b.at[i].add(by, mode="promise_in_bounds").at[j].add(-by, mode="promise_in_bounds")
        return b, error + by * (row_i - row_j), count + 1, gap

    def goes_on(carry: tuple[Any, ...]) -> Any:
        return (carry[2] < most) & (carry[3] >= tolerance)

    start = (jnp.zeros_like(y), -y, jnp.int32(0), jnp.float64(jnp.inf))
    b, error, count, _ = lax.while_loop(goes_on, step, start)
    return [b * y, error, count]


def _roots(count: int, root: float) -> np.ndarray[Any, Any]:
    primes = [n for n in range(2, 320) if all(n % k for k in range(2, int(n**0.5) + 1))][:count]
    whole = 1 << 32
    found = []
    for prime in primes:
        degree = round(1 / root)
        target = prime << (32 * degree)
        low, high = 0, 8 * whole
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if middle**degree <= target else (low, middle)
        found.append(low % whole)
    return np.array(found, "uint32")


def _blocks(rng: np.random.Generator, scale: Scale) -> Inputs:
    blocks = scale.steps(24, quick=2)
    message = rng.integers(0, 2**32, (blocks, 16), dtype="uint32")
    return inputs(message, _roots(64, 1 / 3), _roots(8, 1 / 2))


def _turned(x: Any, by: int) -> Any:
    return (x >> by) | (x << (32 - by))


def _extended(w_16: Any, w_15: Any, w_7: Any, w_2: Any) -> Any:
    one = _turned(w_15, 7) ^ _turned(w_15, 18) ^ (w_15 >> 3)
    return w_16 + one + w_7 + (_turned(w_2, 17) ^ _turned(w_2, 19) ^ (w_2 >> 10))


def _mixed(state: tuple[Any, ...], known: Any) -> tuple[Any, ...]:
    a, b, c, d, e, f, g, h = state
    new = h + (_turned(e, 6) ^ _turned(e, 11) ^ _turned(e, 25)) + ((e & f) ^ (~e & g)) + known
    other = (_turned(a, 2) ^ _turned(a, 13) ^ _turned(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))
    return new + other, a, b, c, d + new, e, f, g


def _digest(message: Any, table: Any, start: Any) -> Any:
    def extend(window: Any, _: None) -> tuple[Any, Any]:
        new = _extended(window[0], window[1], window[9], window[14])
        return jnp.concatenate([window[1:], new[None]]), new

    def mix(state: tuple[Any, ...], now: tuple[Any, Any]) -> tuple[Any, None]:
        return _mixed(state, now[0] + now[1]), None

    def block(state: tuple[Any, ...], words: Any) -> tuple[Any, None]:
        more = lax.scan(extend, words, None, 48)[1]
        mixed = lax.scan(mix, state, (jnp.concatenate([words, more]), table))[0]
        return tuple(old + one for old, one in zip(state, mixed, strict=True)), None

    return jnp.stack(lax.scan(block, tuple(start), message)[0])


def _digest_tuned(message: Any, table: Any, start: Any) -> Any:
    """Words of all blocks extended at once before the loop, with the constants; four rounds a step."""

    def extend(window: Any, _: None) -> tuple[Any, Any]:
        new = _extended(window[0], window[1], window[9], window[14])
        return jnp.concatenate([window[1:], new[None]]), new

    more = lax.scan(extend, message.T, None, 48)[1]
    known = (jnp.concatenate([message.T, more]) + table[:, None]).T

    def mix(state: tuple[Any, ...], now: Any) -> tuple[Any, None]:
        return _mixed(state, now), None

    def block(state: tuple[Any, ...], known_b: Any) -> tuple[Any, None]:
        mixed = lax.scan(mix, state, known_b, unroll=4)[0]
        return tuple(old + one for old, one in zip(state, mixed, strict=True)), None

    return jnp.stack(lax.scan(block, tuple(start), known)[0])


def _ticks(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps = scale.steps(200, quick=6)
    batch, width, modules, units = scale.pick((8, 8, 4, 12), quick=(2, 3, 3, 2))
    total = modules * units
    period = np.repeat(2 ** np.arange(modules), units).astype("int32")
    x, target = rng.normal(size=(steps, batch, width)), rng.normal(size=(steps, batch, 2))
    w_x, w_h = 0.3 * rng.normal(size=(width, total)), rng.normal(size=(total, total)) / total**0.5
    weights = (w_x, w_h, 0.1 * rng.normal(size=total), 0.3 * rng.normal(size=(total, 2)))
    x, target, *weights = (array.astype("float32") for array in (x, target, *weights))
    return inputs(x, target, period, *weights)


def _clockwork(x: Any, target: Any, period: Any, *weights: Any) -> list[Any]:
    hears = (period[:, None] >= period).astype(x.dtype)
    steps, batch, _ = x.shape

    def cost(weights: Any) -> Any:
        W_x, W_h, b, W_out = weights
        masked = W_h * hears

        def step(h: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
            t, x_t = now
            h = jnp.where(t % period == 0, jnp.tanh(x_t @ W_x + h @ masked + b), h)
            return h, h

        start = jnp.zeros((batch, len(b)), x.dtype)
        h = lax.scan(step, start, (jnp.arange(steps, dtype="int32"), x))[1]
        return ((h @ W_out - target) ** 2).mean()

    value, slopes = jax.value_and_grad(cost)(weights)
    return [value, *slopes]


def _clockwork_tuned(x: Any, target: Any, period: Any, *weights: Any) -> list[Any]:
    """The product with the input before the loop; ticks as a table; the gradient of the matrix by one product of all
    steps after a loop backward that is written out."""
    W_x, W_h, b, W_out = weights
    steps, batch, _ = x.shape
    hears = (period[:, None] >= period).astype(x.dtype)
    masked = W_h * hears
    ticks = (jnp.arange(steps, dtype="int32")[:, None] % period == 0).astype(x.dtype)[:, None]
    known = x @ W_x + b

    def step(h: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        known_t, tick = now
        h = h + tick * (jnp.tanh(known_t + h @ masked) - h)
        return h, h

    zeros = jnp.zeros((batch, len(b)), x.dtype)
    h = lax.scan(step, zeros, (known, ticks), unroll=2)[1]
    before = jnp.concatenate([zeros[None], h[:-1]])
    apart = h @ W_out - target
    of_out = apart * (2 / apart.size)
    share = ticks * (1 - h * h)
    back = masked.T

    def step_back(of_h: Any, now: tuple[Any, Any, Any]) -> tuple[Any, Any]:
        direct, share_t, tick = now
        of_h = of_h + direct
        of_new = of_h * share_t
        return of_h - of_h * tick + of_new @ back, of_new

    of_new = lax.scan(step_back, zeros, (of_out @ W_out.T, share, ticks), reverse=True, unroll=2)[1]
    flat = of_new.reshape(-1, len(b))
    slopes = (
        x.reshape(len(flat), -1).T @ flat,
        hears * (before.reshape(flat.shape).T @ flat),
        flat.sum(axis=0),
        h.reshape(flat.shape).T @ of_out.reshape(len(flat), -1),
    )
    return [(apart**2).mean(), *slopes]


def _rows(rng: np.random.Generator, scale: Scale) -> Inputs:
    rows, size, memory = scale.pick((400, 50, 6), quick=(20, 4, 3))
    X = rng.normal(size=(rows, size)) * np.exp(0.8 * rng.normal(size=size))
    y = np.where(rng.random(rows) < 1 / (1 + np.exp(-X @ rng.normal(size=size) / 2)), 1.0, -1.0)
    return inputs(X, y, steps=scale.steps(40, quick=4), memory=memory)


def _quasi_newton(X: Any, y: Any, steps: int, memory: int) -> list[Any]:
    size = X.shape[1]

    def loss(w: Any) -> Any:
        return jnp.logaddexp(0.0, -y * (X @ w)).mean() + SHRINK / 2 * (w**2).sum()

    slope = jax.grad(loss)

    def back(q: Any, now: tuple[Any, Any, Any]) -> tuple[Any, Any]:
        s, change, r = now
        a = r * (s @ q)
        return q - a * change, a

    def forth(q: Any, now: tuple[Any, Any, Any, Any]) -> tuple[Any, None]:
        s, change, r, a = now
        return q + s * (a - r * (change @ q)), None

    def step(carry: tuple[Any, ...], _: None) -> tuple[Any, Any]:
        w, value, g, S, Y, rho = carry
        q, a = lax.scan(back, g, (S, Y, rho), reverse=True)
        last = jnp.maximum(Y[-1] @ Y[-1], 1e-30)
        scale = jnp.where(rho[-1] > 0, S[-1] @ Y[-1] / last, 1.0)
        q, _ = lax.scan(forth, scale * q, (S, Y, rho, a))
        d = -q
        down = g @ d

        def halve(state: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
            k, by, _ = state
            return k + 1, by / 2, loss(w + by / 2 * d)

        def too_high(state: tuple[Any, Any, Any]) -> Any:
            k, by, found = state
            return (k < 20) & ((k == 0) | (found > value + ENOUGH * by * down))

        _, by, found = lax.while_loop(too_high, halve, (0, jnp.float64(2.0), value))
        w_new = w + by * d
        g_new = slope(w_new)
        s, change = w_new - w, g_new - g
        S, Y = jnp.concatenate([S[1:], s[None]]), jnp.concatenate([Y[1:], change[None]])
        rho = jnp.concatenate([rho[1:], (1 / jnp.maximum(s @ change, 1e-30))[None]])
        return (w_new, found, g_new, S, Y, rho), found

    w, none = jnp.zeros(size), jnp.zeros((memory, size))
    start = (w, loss(w), slope(w), none, none, jnp.zeros(memory))
    (w, *_), value = lax.scan(step, start, None, steps)
    return [w, value]


def _quasi_newton_tuned(X: Any, y: Any, steps: int, memory: int) -> list[Any]:
    """Margins of rows carried along, so that a step needs one product with the rows for its direction, whose share of
    the margins every halving scales, and one for the slope; both loops over the memory written out."""
    rows, size = X.shape
    signed = X * y[:, None]
    turned = signed.T / rows

    def loss(margin: Any, square: Any) -> Any:
        lost = jnp.maximum(-margin, 0.0) + jnp.log1p(jnp.exp(-jnp.abs(margin)))
        return lost.mean() + SHRINK / 2 * square

    def slope(w: Any, margin: Any) -> Any:
        return SHRINK * w - turned @ (1 / (1 + jnp.exp(margin)))

    def step(carry: tuple[Any, ...], _: None) -> tuple[Any, Any]:
        w, margin, value, g, S, Y, rho = carry
        q, a = g, [jnp.float64(0.0)] * memory
        for k in reversed(range(memory)):
            a[k] = rho[k] * (S[k] @ q)
            q = q - a[k] * Y[k]
        last = jnp.maximum(Y[-1] @ Y[-1], 1e-30)
        q = jnp.where(rho[-1] > 0, S[-1] @ Y[-1] / last, 1.0) * q
        for k in range(memory):
            q = q + S[k] * (a[k] - rho[k] * (Y[k] @ q))
        d = -q
        down, of_margin = g @ d, signed @ d
        square, cross, own = w @ w, w @ d, d @ d

        def at(by: Any) -> Any:
            return loss(margin + by * of_margin, square + by * (2 * cross + by * own))

        def halve(state: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
            k, by, _ = state
            return k + 1, by / 2, at(by / 2)

        def too_high(state: tuple[Any, Any, Any]) -> Any:
            k, by, found = state
            return (k < 20) & (found > value + ENOUGH * by * down)

        one = jnp.float64(1.0)
        _, by, found = lax.while_loop(too_high, halve, (1, one, at(one)))
        s = by * d
        w, margin = w + s, margin + by * of_margin
        g_new = slope(w, margin)
        change = g_new - g
        new = 1 / jnp.maximum(s @ change, 1e-30)
        return (w, margin, found, g_new, (*S[1:], s), (*Y[1:], change), (*rho[1:], new)), found

    w, margin = jnp.zeros(size), jnp.zeros(rows)
    none, zero = (w,) * memory, (jnp.float64(0.0),) * memory
    start = (w, margin, loss(margin, 0.0), slope(w, margin), none, none, zero)
    (w, *_), value = lax.scan(step, start, None, steps)
    return [w, value]


WORKLOADS = (
    task(
        "support-vectors",
        "weights of 300 rows of a support vector machine, two in a step, until none is far off",
        machines.support_vectors,
        _two_moons,
        _support_vectors,
        _support_vectors_tuned,
        close(1e-6),
    ),
    task(
        "digest",
        "digest of 24 blocks of 16 words by 64 rounds each, nested loops",
        machines.digest,
        _blocks,
        _digest,
        _digest_tuned,
        TIGHT,
    ),
    task(
        "clockwork-grad",
        "network of 48 units that tick every 1, 2, 4 or 8 steps, T=200, batch 8, with gradients",
        machines.clockwork,
        _ticks,
        _clockwork,
        _clockwork_tuned,
        close(1e-3),
    ),
    task(
        "quasi-newton",
        "logistic regression of 400 rows by 40 steps with a memory of 6, nested loops",
        machines.quasi_newton,
        _rows,
        _quasi_newton,
        _quasi_newton_tuned,
        close(1e-6),
    ),
)
