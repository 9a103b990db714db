"""Models that are fitted by gradients."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.programs.seen import fitting
from benchmarks.programs.seen.fitting import STEP
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _yields(rng: np.random.Generator, scale: Scale) -> Inputs:
    months, count = scale.steps(300, quick=8), scale.pick(12, quick=4)
    terms = np.array([3, 6, 9, 12, 18, 24, 36, 48, 60, 84, 96, 120.0])[:count]
    far = 0.06 * terms
    slope = (1 - np.exp(-far)) / far
    loading = np.stack([np.ones_like(far), slope, slope - np.exp(-far)], axis=1)
    state, states = np.zeros(3), []
    for _ in range(months):
        state = np.array([0.98, 0.95, 0.85]) * state + np.array([0.3, 0.4, 0.6]) * rng.normal(size=3)
        states.append(state)
    yields = (np.array(states) + [6.0, -1.5, 0.2]) @ loading.T + 0.1 * rng.normal(size=(months, count))
    guess = np.array([5.5, -1.0, 0.0]), np.log([0.03, 0.06, 0.2]), np.log([0.1, 0.2, 0.3])
    return inputs(yields, terms, *guess, np.float64(np.log(0.05)), np.float64(np.log(0.02)))


def _loading(terms: Any, log_decay: Any) -> Any:
    far = jnp.exp(log_decay) * terms
    slope = (1 - jnp.exp(-far)) / far
    return jnp.stack([jnp.ones_like(far), slope, slope - jnp.exp(-far)], axis=1)


def _yield_curve(yields: Any, terms: Any, *parameters: Any) -> list[Any]:
    def likelihood(parameters: Any) -> Any:
        mean, log_persistence, log_noise, log_decay, log_error = parameters
        loading = _loading(terms, log_decay)
        persistence, noise = jnp.exp(-jnp.exp(log_persistence)), jnp.exp(log_noise)
        error = jnp.exp(log_error)

        def term(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[Any, Any]:
            (state, P), (y, z) = carry, now
            surprise = y - z @ state
            Pz = P @ z
            size = z @ Pz + error
            carry = (state + Pz * surprise / size, P - jnp.outer(Pz, Pz) / size)
            return carry, jnp.log(size) + surprise**2 / size

        def month(carry: tuple[Any, Any], yields_t: Any) -> tuple[Any, Any]:
            (state, P), lost = lax.scan(term, carry, (yields_t, loading))
            state = mean + persistence * (state - mean)
            return (state, persistence[:, None] * P * persistence + jnp.diag(noise)), lost.sum()

        start = (mean, jnp.diag(noise / (1 - persistence**2)))
        return -0.5 * lax.scan(month, start, yields)[1].sum()

    value, slopes = jax.value_and_grad(likelihood)(parameters)
    return [value, *slopes]


SETTLED = 60
"""Months after which the covariance of a filter with the same matrices each month does not change any more."""


def _yield_curve_tuned(yields: Any, terms: Any, *parameters: Any) -> list[Any]:
    """Three sums of the yields tell all about the state, and what they leave is known before the loop (Jungbacker and
    Koopman 2015): three observations instead of twelve, one after the other in one step, numbers instead of small
    arrays, and covariances, which do not depend on the yields, until they have settled."""
    months, count = yields.shape

    def likelihood(parameters: Any) -> Any:
        mean, log_persistence, log_noise, log_decay, log_error = parameters
        loading = _loading(terms, log_decay)
        error = jnp.exp(log_error)
        low = jnp.linalg.cholesky(loading.T @ loading)
        short = lax.linalg.triangular_solve(low, (yields @ loading).T, left_side=True, lower=True)
        short = short - low.T @ mean[:, None]
        centred = yields - loading @ mean
        left = (centred**2).sum() - (short**2).sum()
        p, q = jnp.exp(-jnp.exp(log_persistence)), jnp.exp(log_noise)
        Z = [[low[j, i] for j in range(3)] for i in range(3)]
        pairs = [(i, j) for i in range(3) for j in range(i + 1)]
        keep = {pair: p[pair[0]] * p[pair[1]] for pair in pairs}

        def covariance(P: Any) -> Any:
            P, gains, inverses = dict(zip(pairs, P, strict=True)), [], []
            for i in range(3):
                Pz = [sum(P[max(k, j), min(k, j)] * Z[i][j] for j in range(i, 3)) for k in range(3)]
                inverse = 1 / (sum(Z[i][j] * Pz[j] for j in range(i, 3)) + error)
                gain = [one * inverse for one in Pz]
                P = {(k, j): P[k, j] - gain[k] * Pz[j] for k, j in pairs}
                gains.append(gain)
                inverses.append(inverse)
            P = [keep[pair] * P[pair] + (q[pair[0]] if pair[0] == pair[1] else 0.0) for pair in pairs]
            return P, (gains, inverses)

        def month(state: Any, y: Any, gains: Any, inverses: Any) -> tuple[Any, Any]:
            lost = 0.0
            for i, (gain, inverse) in enumerate(zip(gains, inverses, strict=True)):
                surprise = y[i] - sum(Z[i][j] * state[j] for j in range(i, 3))
                state = [one + by * surprise for one, by in zip(state, gain, strict=True)]
                lost = lost + surprise * surprise * inverse
            return [p[k] * state[k] for k in range(3)], lost

        zero = jnp.float64(0)
        first = [q[k] / (1 - p[k] ** 2) if k == j else zero for k, j in pairs]
        P, known = lax.scan(jax.checkpoint(lambda P, _: covariance(P)), first, None, min(months, SETTLED))
        _, settled = covariance(P)
        early, late = (tuple(one[part] for one in short) for part in (slice(SETTLED), slice(SETTLED, None)))
        state, lost = lax.scan(lambda state, now: month(state, now[0], *now[1]), [zero] * 3, (early, known))
        _, later = lax.scan(lambda state, y: month(state, y, *settled), state, late, unroll=2)
        sizes = sum(jnp.log(one).sum() for one in known[1])
        sizes = sizes + max(months - SETTLED, 0) * sum(jnp.log(one) for one in settled[1])
        constant = months * (count - 3) * log_error + left / error
        return -0.5 * (lost.sum() + later.sum() - sizes + constant)

    value, slopes = jax.value_and_grad(likelihood)(parameters)
    return [value, *slopes]


def _films(rng: np.random.Generator, scale: Scale) -> Inputs:
    films, waves = scale.steps(40, quick=5), scale.pick(1_000, quick=7)
    index = np.where(np.arange(films) % 2, 1.46, 2.3) + 0.02 * rng.normal(size=films)
    thickness = 137.5 / index * rng.uniform(0.8, 1.2, films)
    length = np.linspace(400, 800, waves)
    target = 1.0 * (np.abs(length - 550) < 60)
    return inputs(length, target, np.float64(1.52), thickness, index)


def _thin_films(waves: Any, target: Any, ground: Any, thickness: Any, index: Any) -> list[Any]:
    def cost(thickness: Any, index: Any) -> Any:
        def film(fields: tuple[Any, ...], now: tuple[Any, Any]) -> tuple[Any, None]:
            e_re, e_im, h_re, h_im = fields
            d, n = now
            phase = 2 * np.pi * n * d / waves
            c, s = jnp.cos(phase), jnp.sin(phase)
            fields = (
                c * e_re - s * h_im / n,
                c * e_im + s * h_re / n,
                c * h_re - n * s * e_im,
                c * h_im + n * s * e_re,
            )
            return fields, None

        ones, zeros = jnp.ones_like(waves), jnp.zeros_like(waves)
        start = (ones, zeros, ground * ones, zeros)
        (e_re, e_im, h_re, h_im), _ = lax.scan(film, start, (thickness, index), reverse=True)
        back = (e_re - h_re) ** 2 + (e_im - h_im) ** 2
        through = (e_re + h_re) ** 2 + (e_im + h_im) ** 2
        return ((back / through - target) ** 2).mean()

    value, slopes = jax.value_and_grad(cost, (0, 1))(thickness, index)
    return [value, *slopes]


def _thin_films_tuned(waves: Any, target: Any, ground: Any, thickness: Any, index: Any) -> list[Any]:
    """A film's matrix has an inverse, so that the way back computes fields again and stores nothing; blocks of waves,
    whose fields stay in the cache; sine and cosine once for both ways."""
    block = next(size for size in (250, 7, 1) if len(waves) % size == 0)
    ones, zeros = jnp.ones(block), jnp.zeros(block)

    def of_block(now: tuple[Any, Any]) -> Any:
        waves, target = now
        inverse = 2 * np.pi / waves
        phase = (index * thickness)[:, None] * inverse
        c, s = jnp.cos(phase), jnp.sin(phase)

        def film(fields: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[Any, None]:
            e_re, e_im, h_re, h_im = fields
            c, s, n, by = now
            small, big = s * by, s * n
            return (
                c * e_re - small * h_im,
                c * e_im + small * h_re,
                c * h_re - big * e_im,
                c * h_im + big * e_re,
            ), None

        sequences = (c, s, index, 1 / index)
        fields, _ = lax.scan(film, (ones, zeros, ground * ones, zeros), sequences, reverse=True)

        def misfit(fields: tuple[Any, ...]) -> Any:
            e_re, e_im, h_re, h_im = fields
            back = (e_re - h_re) ** 2 + (e_im - h_im) ** 2
            through = (e_re + h_re) ** 2 + (e_im + h_im) ** 2
            return ((back / through - target) ** 2).sum()

        value, pull = jax.value_and_grad(misfit)(fields)

        def back(carry: tuple[Any, Any], now: tuple[Any, ...]) -> tuple[Any, Any]:
            (e_re, e_im, h_re, h_im), (p, q, r, t) = carry
            c, s, n, by = now
            small, big = s * by, s * n
            before = (
                c * e_re + small * h_im,
                c * e_im - small * h_re,
                c * h_re + big * e_im,
                c * h_im - big * e_re,
            )
            e_re, e_im, h_re, h_im = before
            of_small, of_big = q * h_re - p * h_im, t * e_re - r * e_im
            along = p * e_re + q * e_im + r * h_re + t * h_im
            of_phase = c * (of_small * by + of_big * n) - s * along
            of_index = (s * (of_big - of_small * by * by)).sum()
            pull = (
                c * p + big * t,
                c * q - big * r,
                c * r + small * q,
                c * t - small * p,
            )
            return (before, pull), ((of_phase * inverse).sum(), of_index)

        of_path, of_index = lax.scan(back, (fields, pull), sequences)[1]
        return value, of_path, of_index

    found = lax.map(of_block, (waves.reshape(-1, block), target.reshape(-1, block)))
    value, of_path, of_index = (one.sum(axis=0) / len(waves) for one in found)
    return [value, of_path * index, of_index + of_path * thickness]


def _patients(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, patients = scale.steps(480, quick=12), scale.pick(32, quick=2)
    every = scale.pick(120, quick=6)
    dose = np.zeros((steps, patients))
    dose[::every] = rng.uniform(4, 12, (len(dose[::every]), patients))
    measured = 1.0 * (rng.uniform(size=(steps, patients)) < 0.05)
    seen = rng.normal(size=(steps, patients))
    logs = np.log([0.8, 0.9, 1.5, 0.4, 0.2])
    return inputs(dose, seen, measured, *logs)


def _drug_levels(dose: Any, seen: Any, measured: Any, *logs: Any) -> list[Any]:
    def cost(logs: Any) -> Any:
        absorb, fastest, half, out, back = (jnp.exp(one) for one in logs)

        def slope(state: Any) -> list[Any]:
            gut, centre, edge = state
            exchanged = out * centre - back * edge
            return [-absorb * gut, absorb * gut - fastest * centre / (half + centre) - exchanged, exchanged]

        def moved(state: Any, by: Any, h: float) -> list[Any]:
            return [one + h * other for one, other in zip(state, by, strict=True)]

        def step(state: Any, dose_t: Any) -> tuple[Any, Any]:
            state = [state[0] + dose_t, *state[1:]]
            k1 = slope(state)
            k2 = slope(moved(state, k1, STEP / 2))
            k3 = slope(moved(state, k2, STEP / 2))
            k4 = slope(moved(state, k3, STEP))
            total = [a + 2 * b + 2 * c + d for a, b, c, d in zip(k1, k2, k3, k4, strict=True)]
            state = moved(state, total, STEP / 6)
            return state, state[1]

        centre = lax.scan(step, [jnp.zeros_like(dose[0])] * 3, dose)[1]
        return (measured * (jnp.log(centre + 0.01) - seen) ** 2).sum()

    value, slopes = jax.value_and_grad(cost)(logs)
    return [value, *slopes]


def _drug_levels_tuned(dose: Any, seen: Any, measured: Any, *logs: Any) -> list[Any]:
    """Slopes forward beside the values, all five in one array, so that nothing is stored but one array; the depot's
    stages are multiples of its content, which is one number for each patient and its slope another."""
    absorb, fastest, half, out, back = (jnp.exp(one) for one in logs)
    zeros = jnp.zeros_like(dose[0])
    unit = jnp.eye(5)[:, :, None]

    def slope(gut: Any, of_gut: Any, centre: Any, edge: Any, of_centre: Any, of_edge: Any) -> tuple[Any, ...]:
        exchanged = out * centre - back * edge
        of_exchanged = out * of_centre - back * of_edge + unit[3] * (out * centre) - unit[4] * (back * edge)
        inverse = 1 / (half + centre)
        share = centre * inverse
        gone = fastest * share
        steep = fastest * inverse * (1 - share)
        of_gone = steep * of_centre + unit[1] * gone - unit[2] * (half * inverse * gone)
        entered = unit[0] * (absorb * (gut + of_gut))
        return (
            absorb * gut - gone - exchanged,
            exchanged,
            entered - of_gone - of_exchanged,
            of_exchanged,
        )

    a = absorb * STEP
    stages = (1.0, 1 - a / 2, 1 - a / 2 + a**2 / 4, 1 - a + a**2 / 2 - a**3 / 4)
    steeper = (0.0, -a / 2, -a / 2 + a**2 / 2, -a + a**2 - 3 * a**3 / 4)
    decay, of_decay = 1 - a + a**2 / 2 - a**3 / 6 + a**4 / 24, -a + a**2 - a**3 / 2 + a**4 / 6

    def step(carry: tuple[Any, ...], now: tuple[Any, Any, Any]) -> tuple[Any, None]:
        gut, of_gut, *state, value, slopes = carry
        dose_t, seen_t, measured_t = now
        gut = gut + dose_t
        total, at_stage = None, state
        for k, (stage, steep) in enumerate(zip(stages, steeper, strict=True)):
            by = slope(stage * gut, stage * of_gut + steep * gut, *at_stage)
            weight = (1, 2, 2, 1)[k]
            total = by if total is None else [one + weight * other for one, other in zip(total, by, strict=True)]
            if k < 3:
                h = STEP * (0.5, 0.5, 1.0)[k]
                at_stage = [one + h * other for one, other in zip(state, by, strict=True)]
        state = [one + STEP / 6 * other for one, other in zip(state, total, strict=True)]
        apart = jnp.log(state[0] + 0.01) - seen_t
        wrong = measured_t * apart
        value = value + wrong * apart
        slopes = slopes + 2 * wrong / (state[0] + 0.01) * state[2]
        return (decay * gut, decay * of_gut + of_decay * gut, *state, value, slopes), None

    none = jnp.zeros((5, len(zeros)))
    start = (zeros, zeros, zeros, zeros, none, none, zeros, none)
    *_, value, slopes = lax.scan(step, start, (dose, seen, measured))[0]
    return [value.sum(), *slopes.sum(axis=1)]


def _series(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, (batch, inner, units, order) = scale.steps(150, quick=6), scale.pick((8, 4, 32, 16), quick=(2, 2, 3, 4))
    theta = steps / 2
    n = np.arange(order)
    scale_n = (2 * n + 1) / theta
    i, j = np.meshgrid(n, n, indexing="ij")
    moves = np.where(i < j, -1.0, (-1.0) ** (i - j + 1)) * scale_n[:, None]
    into = (-1.0) ** n * scale_n
    A = np.linalg.solve(np.eye(order) - moves / 2, np.eye(order) + moves / 2)
    B = np.linalg.solve(np.eye(order) - moves / 2, into)
    x, target = rng.normal(size=(steps, batch, inner)), rng.normal(size=(steps, batch, 2))

    def weight(*shape: int) -> Any:
        return rng.normal(size=shape) / shape[0] ** 0.5

    reads = weight(inner), 0.3 * weight(units), 0.3 * weight(order)
    return inputs(
        x, target, A.T, B, *reads, weight(inner, units), weight(units, units), weight(order, units), weight(units, 2)
    )


def _legendre_memory(x: Any, target: Any, A: Any, B: Any, *weights: Any) -> list[Any]:
    def cost(weights: Any) -> Any:
        read_x, read_h, read_m, W_x, W_h, W_m, W_out = weights

        def step(carry: tuple[Any, Any], x_t: Any) -> tuple[Any, Any]:
            h, m = carry
            written = x_t @ read_x + h @ read_h + m @ read_m
            m = m @ A + jnp.outer(written, B)
            h = jnp.tanh(x_t @ W_x + h @ W_h + m @ W_m)
            return (h, m), h

        batch = x.shape[1]
        start = (jnp.zeros((batch, len(W_h))), jnp.zeros((batch, len(A))))
        h = lax.scan(step, start, x)[1]
        return ((h @ W_out - target) ** 2).mean()

    value, slopes = jax.value_and_grad(cost)(weights)
    return [value, *slopes]


def _legendre_memory_tuned(x: Any, target: Any, A: Any, B: Any, *weights: Any) -> list[Any]:
    """One product a step with one matrix of all weights, and one of the input before the loop; the reverse loop by hand
    with one product a step, and the gradient of that matrix after it."""
    W_out = weights[-1]
    units, order, batch = len(weights[4]), len(A), x.shape[1]

    def joined(weights: Any) -> tuple[Any, Any]:
        read_x, read_h, read_m, W_x, W_h, W_m, _ = weights
        onward = jnp.concatenate([jnp.outer(read_h, B), A + jnp.outer(read_m, B)])
        memory = jnp.outer(read_x, B)
        to_h = onward @ W_m
        whole = jnp.concatenate([to_h.at[:units].add(W_h), onward], axis=1)
        return whole, jnp.concatenate([W_x + memory @ W_m, memory], axis=1)

    (whole, of_input), pull_back = jax.vjp(joined, weights)

    def step(state: Any, driven_t: Any) -> tuple[Any, Any]:
        mixed = driven_t + state @ whole
        new = jnp.concatenate([jnp.tanh(mixed[:, :units]), mixed[:, units:]], axis=1)
        return new, new

    start = jnp.zeros((batch, units + order))
    states = lax.scan(step, start, x @ of_input)[1]
    h = states[..., :units]
    error = h @ W_out - target
    pull = 2 / error.size * error
    turned, steep, back_by = pull @ W_out.T, 1 - h * h, whole.T

    def back(carry: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        turned_t, steep_t = now
        inner = jnp.concatenate([(carry[:, :units] + turned_t) * steep_t, carry[:, units:]], axis=1)
        return inner @ back_by, inner

    inner = lax.scan(back, start, (turned, steep), reverse=True)[1]
    before = jnp.concatenate([start[None], states[:-1]])
    of_whole = before.reshape(-1, units + order).T @ inner.reshape(-1, units + order)
    of_driven = x.reshape(-1, x.shape[2]).T @ inner.reshape(-1, units + order)
    (slopes,) = pull_back((of_whole, of_driven))
    return [(error**2).mean(), *slopes[:-1], jnp.einsum("tbu,tbo->uo", h, pull)]


WORKLOADS = (
    task(
        "yield-curve-grad",
        "likelihood of 12 yields in 300 months, nested loops, with gradient in 11 parameters",
        fitting.yield_curve,
        _yields,
        _yield_curve,
        _yield_curve_tuned,
        close(1e-8),
    ),
    task(
        "thin-films-grad",
        "light of 1,000 colours that 40 films reflect, with gradient in thicknesses and indices",
        fitting.thin_films,
        _films,
        _thin_films,
        _thin_films_tuned,
        close(1e-8),
    ),
    task(
        "drug-levels-grad",
        "a drug in three parts of 32 patients, 480 Runge-Kutta steps, with gradient in five rates",
        fitting.drug_levels,
        _patients,
        _drug_levels,
        _drug_levels_tuned,
        close(1e-8),
    ),
    task(
        "legendre-memory-grad",
        "network of 32 units with a memory of order 16, T=150, batch 8, with gradients",
        fitting.legendre_memory,
        _series,
        _legendre_memory,
        _legendre_memory_tuned,
        close(1e-8),
    ),
)
