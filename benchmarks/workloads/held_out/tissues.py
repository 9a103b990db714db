"""A nerve cell with branches, movements read from nerve cells, a piece of cortex and rhythms of parts of a brain."""

# ruff: noqa: N803, N806 - voltages, matrices and couplings have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random
from jax.nn import sigmoid

from benchmarks.compare import close, within
from benchmarks.programs.held_out import tissues
from benchmarks.programs.held_out.tissues import (
    BIN,
    CALCIUM,
    CAPACITY,
    FAST,
    GAIN,
    LATE,
    LEAK,
    LINKS,
    LONG,
    LOSS,
    PEAK,
    POTASSIUM,
    SLOW,
    TICK,
    TIME,
)
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _branches(rng: np.random.Generator, scale: Scale) -> Inputs:
    """A cell whose branches part now and then, and a current into its body that comes and goes."""
    parts, steps = scale.pick(100, quick=8), scale.steps(400, quick=30)
    before = np.arange(parts - 1)
    parent = np.where(rng.random(parts - 1) < 0.85, before, rng.integers(0, before + 1))
    axial = 20 + 20 * rng.random(parts - 1)
    current = np.where(np.arange(steps) % 200 < 120, 3_000.0, 0.0) * parts / 100
    return inputs(current, np.full(parts, -60.0), np.full(parts, 0.01), parent.astype("int32"), axial)


def _dendrite(current: Any, V: Any, w: Any, parent: Any, axial: Any) -> list[Any]:
    part = jnp.arange(1, len(V))
    neighbours = jnp.zeros_like(V).at[part].add(axial).at[parent].add(axial)

    def step(carry: tuple[Any, Any], current_t: Any) -> tuple[tuple[Any, Any], Any]:
        V, w = carry
        calcium, potassium = CALCIUM * (1 + jnp.tanh((V + 1.2) / 18)) / 2, POTASSIUM * w
        diagonal = CAPACITY / TIME + calcium + potassium + LEAK + neighbours
        right = CAPACITY / TIME * V + 120 * calcium - 84 * potassium - 60 * LEAK
        right = right.at[0].add(current_t)

        def inwards(carry: tuple[Any, Any], now: tuple[Any, ...]) -> tuple[tuple[Any, Any], None]:
            d, b = carry
            j, parent_j, axial_j = now
            share = axial_j / d[j]
            return (d.at[parent_j].add(-share * axial_j), b.at[parent_j].add(share * b[j])), None

        (d, b), _ = lax.scan(inwards, (diagonal, right), (part, parent, axial), reverse=True)

        def outwards(V: Any, now: tuple[Any, ...]) -> tuple[Any, None]:
            j, parent_j, axial_j = now
            return V.at[j].set((b[j] + axial_j * V[parent_j]) / d[j]), None

        V, _ = lax.scan(outwards, V.at[0].set(b[0] / d[0]), (part, parent, axial))
        rest = (1 + jnp.tanh((V - 2) / 30)) / 2
        w = w + TIME * SLOW * jnp.cosh((V - 2) / 60) * (rest - w)
        return (V, w), V[0]

    (V, _), body = lax.scan(step, (V, w), current)
    return [body, V]


def _dendrite_tuned(current: Any, V: Any, w: Any, parent: Any, axial: Any) -> list[Any]:
    """The way in keeps the share of each part in its parent, and all quotients are made before the way back, which then
    multiplies; places are known to be inside."""
    part = jnp.arange(1, len(V), dtype="int32")
    neighbours = jnp.zeros_like(V).at[part].add(axial).at[parent].add(axial)

    def read(array: Any, place: Any) -> Any:
        return array.at[place].get(mode="promise_in_bounds")

    def step(carry: tuple[Any, Any], current_t: Any) -> tuple[tuple[Any, Any], Any]:
        V, w = carry
        calcium, potassium = (CALCIUM / 2) * (1 + jnp.tanh((V + 1.2) * (1 / 18))), POTASSIUM * w
        diagonal = (CAPACITY / TIME + LEAK) + calcium + potassium + neighbours
        right = CAPACITY / TIME * V + 120 * calcium - 84 * potassium - 60 * LEAK
        right = right.at[0].add(current_t)

        def inwards(carry: tuple[Any, Any], now: tuple[Any, ...]) -> tuple[tuple[Any, Any], Any]:
            d, b = carry
            j, p, g = now
            share = g / read(d, j)
            d = d.at[p].add(-share * g, mode="promise_in_bounds")
            return (d, b.at[p].add(share * read(b, j), mode="promise_in_bounds")), share

        (d, b), share = lax.scan(inwards, (diagonal, right), (part, parent, axial), reverse=True)
        own = b / d

        def outwards(V: Any, now: tuple[Any, ...]) -> tuple[Any, None]:
            j, p, own_j, share_j = now
            return V.at[j].set(own_j + share_j * read(V, p), mode="promise_in_bounds"), None

        V, _ = lax.scan(outwards, V.at[0].set(own[0]), (part, parent, own[1:], share))
        half = (V - 2) * (1 / 60)
        rest = (1 + jnp.tanh(2 * half)) / 2
        w = w + TIME * SLOW * jnp.cosh(half) * (rest - w)
        return (V, w), V[0]

    (V, _), body = lax.scan(step, (V, w), current)
    return [body, V]


def _hand(rng: np.random.Generator, scale: Scale) -> Inputs:
    """A hand that moves around, and cells that prefer a direction."""
    steps, cells = scale.steps(2_000, quick=60), scale.pick(40, quick=8)
    time = BIN * np.arange(steps)
    velocity = np.stack([0.5 * np.sin(1.3 * time), 0.4 * np.cos(2.1 * time)], axis=1)
    angle = 2 * np.pi * rng.random(cells)
    tuning = 3 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    base = np.log(5 + 15 * rng.random(cells))
    spikes = rng.poisson(BIN * np.exp(base + velocity @ tuning.T)).astype("float64")
    F = np.eye(4) + BIN * np.eye(4, k=2)
    Q = np.diag([1e-6, 1e-6, 1e-3, 1e-3])
    return inputs(spikes, base, tuning, F, Q, np.zeros(4), 0.1 * np.eye(4))


def _spike_decoder(spikes: Any, base: Any, tuning: Any, F: Any, Q: Any, x: Any, P: Any) -> list[Any]:
    def step(carry: tuple[Any, Any], spikes_t: Any) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        x, P = carry
        x, P = F @ x, F @ P @ F.T + Q
        expected = BIN * jnp.exp(base + tuning @ x[2:])
        score = (spikes_t * jnp.log(expected) - expected).sum()
        P = jnp.linalg.inv(jnp.linalg.inv(P).at[2:, 2:].add((tuning.T * expected) @ tuning))
        x = x + P[:, 2:] @ (tuning.T @ (spikes_t - expected))
        return (x, P), (x, score)

    _, (xs, score) = lax.scan(step, (x, P), spikes)
    return [xs, score.sum()]


def _spike_decoder_tuned(spikes: Any, base: Any, tuning: Any, F: Any, Q: Any, x: Any, P: Any) -> list[Any]:
    """Spikes change a matrix of two rows alone, so that a system of two numbers takes the place of both inverses; what
    spikes weigh, and most of the likelihood, before and after the loop; products of small matrices as sums."""
    pairs = jnp.concatenate([tuning.T, tuning.T[:1] ** 2, tuning.T[:1] * tuning.T[1:], tuning.T[1:] ** 2])
    seen = spikes @ tuning
    shift = base + jnp.log(BIN)

    def times(A: Any, B: Any) -> Any:
        return (A[:, :, None] * B[None]).sum(axis=1)

    def step(carry: tuple[Any, Any], seen_t: Any) -> tuple[tuple[Any, Any], tuple[Any, ...]]:
        x, P = carry
        x, P = (F * x).sum(axis=1), times(times(F, P), F.T) + Q
        expected = jnp.exp(shift + tuning[:, 0] * x[2] + tuning[:, 1] * x[3])
        sent_0, sent_1, a, b, c = (pairs * expected).sum(axis=1)
        p, q, r = P[2, 2], P[2, 3], P[3, 3]
        m_00, m_01, m_10, m_11 = 1 + p * a + q * b, p * b + q * c, q * a + r * b, 1 + q * b + r * c
        inverse = 1 / (m_00 * m_11 - m_01 * m_10)
        w_00, w_01 = (a * m_11 - b * m_10) * inverse, (b * m_00 - a * m_01) * inverse
        w_11 = (c * m_00 - b * m_01) * inverse
        one, other = P[:, 2], P[:, 3]
        left_0, left_1 = one * w_00 + other * w_01, one * w_01 + other * w_11
        new_P = P - left_0[:, None] * one - left_1[:, None] * other
        new_x = x + new_P[:, 2] * (seen_t[0] - sent_0) + new_P[:, 3] * (seen_t[1] - sent_1)
        return (new_x, new_P), (new_x, x[2:], expected.sum())

    _, (xs, before, total) = lax.scan(step, (x, P), seen)
    return [xs, (seen * before).sum() + (spikes.sum(axis=0) * shift).sum() - total.sum()]


def _network(rng: np.random.Generator, scale: Scale) -> Inputs:
    """The network of the paper, half as large."""
    excitatory, inhibitory = scale.pick((400, 100), quick=(80, 20))
    u, v = rng.random(excitatory), rng.random(inhibitory)
    a = np.concatenate([np.full(excitatory, 0.02), 0.02 + 0.08 * v])
    b = np.concatenate([np.full(excitatory, 0.2), 0.25 - 0.05 * v])
    c = np.concatenate([-65 + 15 * u**2, np.full(inhibitory, -65.0)])
    d = np.concatenate([8 - 6 * u**2, np.full(inhibitory, 2.0)])
    noise = np.concatenate([np.full(excitatory, 5.0), np.full(inhibitory, 2.0)])
    every = excitatory + inhibitory
    S = np.concatenate([rng.random((every, excitatory)), -2 * rng.random((every, inhibitory))], axis=1)
    arrays = [one.astype("float32") for one in (S, a, b, c, d, noise)]
    return inputs(*arrays, excitatory=excitatory, steps=scale.steps(1_000))


def _cortex(key: Any, S: Any, a: Any, b: Any, c: Any, d: Any, noise: Any, excitatory: int, steps: int) -> Any:
    def step(carry: tuple[Any, Any], key: Any) -> tuple[tuple[Any, Any], Any]:
        v, u = carry
        fired = v >= PEAK
        v, u = jnp.where(fired, c, v), jnp.where(fired, u + d, u)
        current = noise * random.normal(key, v.shape) + S @ fired.astype("float32")
        for _ in range(2):
            v = v + 0.5 * (0.04 * v**2 + 5 * v + 140 - u + current)
        return (v, u + a * (b * v - u)), fired

    v = jnp.full_like(a, -65)
    _, fired = lax.scan(step, (v, b * v), random.split(key, steps))
    rate = 1000 * fired.mean(axis=0)
    return jnp.stack([rate[:excitatory].mean(), rate[excitatory:].mean()])


def _cortex_tuned(key: Any, S: Any, a: Any, b: Any, c: Any, d: Any, noise: Any, excitatory: int, steps: int) -> Any:
    """Noise of all steps at once; a loop adds the rows of cells that fire, a few of all, one after the other."""
    rows = S.T
    drive = noise * random.normal(key, (steps, len(a)))

    def add(carry: tuple[Any, Any]) -> tuple[Any, Any]:
        current, fires = carry
        j = jnp.argmax(fires).astype("int32")
        current = current + lax.dynamic_index_in_dim(rows, j, keepdims=False)
        return current, lax.dynamic_update_index_in_dim(fires, False, j, 0)

    def step(carry: tuple[Any, ...], drive_t: Any) -> tuple[tuple[Any, ...], None]:
        v, u, count = carry
        fired = v >= PEAK
        current, _ = lax.while_loop(lambda carry: carry[1].any(), add, (drive_t, fired))
        v, u = jnp.where(fired, c, v), jnp.where(fired, u + d, u)
        for _ in range(2):
            v = v + 0.5 * ((0.04 * v + 5) * v + 140 - u + current)
        return (v, u + a * (b * v - u), count + fired), None

    v = jnp.full_like(a, -65)
    (_, _, count), _ = lax.scan(step, (v, b * v, jnp.zeros(len(a), "int32")), drive)
    rate = (1000 / steps) * count
    return jnp.stack([rate[:excitatory].mean(), rate[excitatory:].mean()])


def _pulses(v: Any) -> Any:
    return 5 * sigmoid(0.56 * (v - 6))


def _parts(rng: np.random.Generator, scale: Scale) -> Inputs:
    """Potentials that other couplings than those given have made."""
    parts, steps = scale.pick(20, quick=4), scale.steps(1_000, quick=60)
    drive = 120 + 200 * rng.random((steps, parts))
    K = 10 * rng.random((parts, parts)) * (1 - np.eye(parts)) * 4 / parts
    made = K * (1 + 0.5 * rng.normal(size=K.shape))
    y, z, sent = np.zeros((3, parts)), np.zeros((3, parts)), np.zeros((steps + LATE, parts))
    seen = np.zeros((steps, parts))

    def pulses(v: Any) -> Any:
        return 5 / (1 + np.exp(0.56 * (6 - v)))

    gain, fast = np.array([GAIN, GAIN, LOSS])[:, None], np.array([FAST, FAST, LONG])[:, None]
    for t in range(steps):
        sent[t + LATE] = pulses(y[1] - y[2])
        excited = drive[t] + made @ sent[t] + 0.8 * LINKS * pulses(LINKS * y[0])
        force = np.stack([sent[t + LATE], excited, 0.25 * LINKS * pulses(0.25 * LINKS * y[0])])
        z = z + TICK * (gain * fast * force - 2 * fast * z - fast**2 * y)
        y = y + TICK * z
        seen[t] = y[1] - y[2]
    return inputs(drive, seen + 0.3 * rng.normal(size=seen.shape), K)


def _brain_rhythms(drive: Any, seen: Any, K: Any) -> list[Any]:
    def cost(K: Any) -> Any:
        def step(carry: tuple[Any, ...], drive_t: Any) -> tuple[tuple[Any, ...], Any]:
            before, y_0, y_1, y_2, z_0, z_1, z_2 = carry
            sent = _pulses(y_1 - y_2)
            excited = drive_t + K @ before[0] + 0.8 * LINKS * _pulses(LINKS * y_0)
            inhibited = 0.25 * LINKS * _pulses(0.25 * LINKS * y_0)
            z_0 = z_0 + TICK * (GAIN * FAST * sent - 2 * FAST * z_0 - FAST**2 * y_0)
            z_1 = z_1 + TICK * (GAIN * FAST * excited - 2 * FAST * z_1 - FAST**2 * y_1)
            z_2 = z_2 + TICK * (LOSS * LONG * inhibited - 2 * LONG * z_2 - LONG**2 * y_2)
            y_0, y_1, y_2 = y_0 + TICK * z_0, y_1 + TICK * z_1, y_2 + TICK * z_2
            before = jnp.concatenate([before[1:], sent[None]])
            return (before, y_0, y_1, y_2, z_0, z_1, z_2), y_1 - y_2

        zeros = jnp.zeros_like(drive[0])
        start = (jnp.zeros((LATE, len(zeros))), *[zeros] * 6)
        _, found = lax.scan(step, start, drive)
        return ((found - seen) ** 2).mean()

    return list(jax.value_and_grad(cost)(K))


def _brain_rhythms_tuned(drive: Any, seen: Any, K: Any) -> list[Any]:
    """As many steps at a time as pulses are late, with one product for them; the way back written out, from slopes that
    the way forth keeps; the gradient as one product after both."""
    steps, parts = drive.shape
    blocks = -(-steps // LATE)
    padding = ((0, blocks * LATE - steps), (0, 0))
    counts = (jnp.arange(blocks * LATE) < steps).astype(drive.dtype)[:, None] * (2 / seen.size)
    drive, wanted, counts = (
        one.reshape(blocks, LATE, -1) for one in (jnp.pad(drive, padding), jnp.pad(seen, padding), counts)
    )
    rate = np.array([[FAST], [FAST], [LONG]])
    gain = TICK * np.array([[GAIN], [GAIN], [LOSS]]) * rate
    pull, kept = TICK * rate**2, 1 - 2 * TICK * rate
    inside = np.array([[1.0], [LINKS], [0.25 * LINKS]])
    sends = 5 * np.array([[1.0], [0.8 * LINKS], [0.25 * LINKS]]) * gain
    to_slope = 0.56 * sends * inside

    def step(carry: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        y, z = carry
        forced, wanted_t, counts_t = now
        level = sigmoid(0.56 * (inside * jnp.stack([y[1] - y[2], y[0], y[0]]) - 6))
        z = kept * z + sends * level - pull * y
        z = z.at[1].add(gain[1, 0] * forced)
        y = y + TICK * z
        return (y, z), (5 * level[0], to_slope * (level * (1 - level)), (y[1] - y[2] - wanted_t) * counts_t)

    def block(carry: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        before, y, z = carry
        drive_b, *others = now
        (y, z), (sent, slope, miss) = lax.scan(step, (y, z), (drive_b + before @ K.T, *others))
        return (sent, y, z), (before, slope, miss)

    def back(carry: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[tuple[Any, ...], Any]:
        of_y, of_z = carry
        of_sent, slope, miss = now
        of_y = of_y + jnp.stack([jnp.zeros_like(miss), miss, -miss])
        of_z = of_z + TICK * of_y
        inner = slope * of_z
        sent = inner[0] + (5 / sends[0, 0]) * slope[0] * of_sent
        of_y = of_y - pull * of_z + jnp.stack([inner[1] + inner[2], sent, -sent])
        return (of_y, kept * of_z), gain[1, 0] * of_z[1]

    def back_block(carry: tuple[Any, ...], now: tuple[Any, Any]) -> tuple[tuple[Any, ...], Any]:
        of_sent, of_y, of_z = carry
        (of_y, of_z), of_forced = lax.scan(back, (of_y, of_z), (of_sent, *now), reverse=True)
        return (of_forced @ K, of_y, of_z), of_forced

    nothing = (jnp.zeros((LATE, parts)), jnp.zeros((3, parts)), jnp.zeros((3, parts)))
    _, (before, slope, miss) = lax.scan(block, nothing, (drive, wanted, counts))
    _, of_forced = lax.scan(back_block, nothing, (slope, miss), reverse=True)
    cost = (miss**2).sum() * (seen.size / 4)
    return [cost, of_forced.reshape(-1, parts).T @ before.reshape(-1, parts)]


WORKLOADS = (
    task(
        "dendrite",
        "nerve cell of 100 parts in a tree, 400 implicit steps, nested loops",
        tissues.dendrite,
        _branches,
        _dendrite,
        _dendrite_tuned,
        close(1e-7),
    ),
    task(
        "spike-decoder",
        "places of a hand from the spikes of 40 nerve cells, T=2,000",
        tissues.spike_decoder,
        _hand,
        _spike_decoder,
        _spike_decoder_tuned,
        close(1e-6),
    ),
    task(
        "cortex",
        "500 nerve cells that fire and all hear each other, 1,000 steps",
        tissues.cortex,
        _network,
        _cortex,
        _cortex_tuned,
        within(4.0),
        draws=True,
    ),
    task(
        "brain-rhythms-grad",
        "20 parts of a brain that drive each other ten steps later, T=1,000, with gradient in how they do",
        tissues.brain_rhythms,
        _parts,
        _brain_rhythms,
        _brain_rhythms_tuned,
        close(1e-6),
    ),
)
