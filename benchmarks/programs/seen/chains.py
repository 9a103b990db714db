"""Chains of random draws: pictures of noise, walkers, states and photons."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

import math
from typing import Any

from benchmarks.programs.applications import stream, until

STRETCH, FREEDOM = 2.0, 4.0
SHAPE, RATE = 3.0, 0.5
WIDE = 100.0
ABSORBED, SCATTERED, FORWARD, DEPTH = 1.0, 15.0, 0.75, 0.5
LIGHT, CHANCE = 1e-3, 0.125


def denoising_sampler(aesara: Any, samples: int) -> Any:
    """Mean length of points that are made from noise by a network that finds the noise in them, step by step (Ho, Jain
    and Abbeel 2020). ``embedding (time, width)`` and the coefficients ``scale``, ``share`` and ``spread`` of each time
    run from the last time back. Float32."""
    at, trng = aesara.tensor, stream(aesara)
    embedding = at.fmatrix("embedding")
    scale, share, spread = (at.fvector(name) for name in ("scale", "share", "spread"))
    names = ("W_in", "W_time", "b_in", "W_mid", "b_mid", "W_out", "b_out")
    weights = W_in, W_time, b_in, W_mid, b_mid, W_out, b_out = [
        at.fvector(name) if name.startswith("b") else at.fmatrix(name) for name in names
    ]

    def silu(x: Any) -> Any:
        return x * at.sigmoid(x)

    def step(time: Any, scale_t: Any, share_t: Any, spread_t: Any, x: Any) -> Any:
        h = silu(at.dot(x, W_in) + at.dot(time, W_time) + b_in)
        h = silu(at.dot(h, W_mid) + b_mid)
        noise = at.dot(h, W_out) + b_out
        return scale_t * (x - share_t * noise) + spread_t * trng.normal(size=(samples, 2), dtype="float32")

    start = trng.normal(size=(samples, 2), dtype="float32")
    x, updates = aesara.scan(step, sequences=[embedding, scale, share, spread], outputs_info=start)
    length = at.sqrt((x[-1] ** 2).sum(axis=1)).mean()
    return aesara.function([embedding, scale, share, spread, *weights], length, updates=updates)


def stretch_moves(aesara: Any, draws: int) -> Any:
    """Mean of draws of a line and the logarithm of its spread, with errors of Student's distribution, by two groups
    of walkers that move along lines to walkers of the other group (Goodman and Weare 2010; Foreman-Mackey, Hogg, Lang
    and Goodman 2013). ``start (half, walker, parameter)``. Float64."""
    at, trng = aesara.tensor, stream(aesara)
    x, y, start = at.dvector("x"), at.dvector("y"), at.dtensor3("start")
    count, size = start.shape[1], start.shape[2]

    def log_density(theta: Any) -> Any:
        line = theta[:, 0].dimshuffle(0, "x") + theta[:, 1].dimshuffle(0, "x") * x
        error = (y - line) / at.exp(theta[:, 2]).dimshuffle(0, "x")
        likelihood = -(FREEDOM + 1) / 2 * at.log1p(error**2 / FREEDOM).sum(axis=1) - x.shape[0] * theta[:, 2]
        return likelihood - 0.5 * (theta**2).sum(axis=1) / WIDE

    def moved(theta: Any, density: Any, others: Any) -> tuple[Any, Any]:
        u = trng.uniform(size=(count,), dtype="float64")
        z = ((STRETCH - 1) * u + 1) ** 2 / STRETCH
        other = others[trng.integers(0, count, size=(count,))]
        proposed = other + z.dimshuffle(0, "x") * (theta - other)
        new = log_density(proposed)
        chance = at.log(trng.uniform(size=(count,), dtype="float64"))
        accepted = chance < (size - 1) * at.log(z) + new - density
        return at.switch(accepted.dimshuffle(0, "x"), proposed, theta), at.switch(accepted, new, density)

    def draw(first: Any, second: Any, of_first: Any, of_second: Any) -> list[Any]:
        first, of_first = moved(first, of_first, second)
        second, of_second = moved(second, of_second, first)
        return [first, second, of_first, of_second]

    begin = [start[0], start[1], log_density(start[0]), log_density(start[1])]
    (first, second, _, _), updates = aesara.scan(draw, outputs_info=begin, n_steps=draws)
    mean = (first.mean(axis=(0, 1)) + second.mean(axis=(0, 1))) / 2
    return aesara.function([x, y, start], mean, updates=updates)


def state_sampler(aesara: Any, draws: int) -> Any:
    """Mean logarithms of the variances of a series with a level and a slope, by Gibbs sampling: the states of all times
    at once by a filter and draws back in time (Carter and Kohn 1994; Fruehwirth-Schnatter 1994), then each variance
    from its errors. ``F`` moves the state. Float64."""
    at, trng = aesara.tensor, stream(aesara)
    y, F, start = at.dvector("y"), at.dmatrix("F"), at.dvector("start")
    steps = y.shape[0]
    n = 2

    def draw(variance: Any) -> Any:
        Q = at.diag(variance[:2])

        def forward(y_t: Any, m: Any, P: Any) -> list[Any]:
            m = at.dot(F, m)
            P = at.dot(at.dot(F, P), F.T) + Q
            K = P[:, 0] / (P[0, 0] + variance[2])
            return [m + K * (y_t - m[0]), P - at.outer(K, P[0])]

        def back(m: Any, P: Any, x: Any) -> Any:
            J = at.dot(at.dot(P, F.T), at.linalg.inv(at.dot(at.dot(F, P), F.T) + Q))
            mean = m + at.dot(J, x - at.dot(F, m))
            covariance = P - at.dot(at.dot(J, F), P)
            root = at.linalg.cholesky((covariance + covariance.T) / 2)
            return mean + at.dot(root, trng.normal(size=(n,), dtype="float64"))

        begin = [at.zeros((n,), dtype="float64"), WIDE * at.eye(n, dtype="float64")]
        (m, P), _ = aesara.scan(forward, sequences=y, outputs_info=begin)
        last = m[-1] + at.dot(at.linalg.cholesky(P[-1]), trng.normal(size=(n,), dtype="float64"))
        x, updates = aesara.scan(back, sequences=[m[:-1], P[:-1]], outputs_info=last, go_backwards=True)
        x = at.concatenate([x[::-1], last.dimshuffle("x", 0)], axis=0)
        moves = x[1:] - at.dot(x[:-1], F.T)
        squares = at.concatenate([(moves**2).sum(axis=0), ((y - x[:, 0]) ** 2).sum().dimshuffle("x")])
        counts = at.stack([steps - 1, steps - 1, steps])
        gamma = trng.gamma(SHAPE + at.cast(counts, "float64") / 2, scale=1.0, size=(3,))
        return (RATE + squares / 2) / gamma, updates

    variance, updates = aesara.scan(draw, outputs_info=start, n_steps=draws)
    return aesara.function([y, F, start], at.log(variance).mean(axis=0), updates=updates)


def photons(aesara: Any, packets: int, most: int) -> Any:
    """Shares of light that a layer sends back, lets through and absorbs, by packets of photons that walk at random
    until none is left (Wang, Jacques and Zheng 1995), whose faint ones play roulette. ``start`` is a cosine of each
    packet's angle. Float32."""
    at, trng = aesara.tensor, stream(aesara)
    start = at.fvector("start")
    circle = at.constant(2 * math.pi, dtype="float32")

    def walk(z: Any, cosine: Any, weight: Any, back: Any, through: Any, kept: Any) -> Any:
        u = trng.uniform(size=(4, packets), dtype="float32")
        z = z - at.log(1 - u[0]) / (ABSORBED + SCATTERED) * cosine
        above, below = z < 0, z > DEPTH
        back = back + at.switch(above, weight, 0).sum()
        through = through + at.switch(below, weight, 0).sum()
        weight = at.switch(at.or_(above, below), 0, weight)
        part = ABSORBED / (ABSORBED + SCATTERED)
        kept = kept + part * weight.sum()
        weight = (1 - part) * weight
        ratio = (1 - FORWARD**2) / (1 - FORWARD + 2 * FORWARD * u[1])
        turn = at.clip((1 + FORWARD**2 - ratio**2) / (2 * FORWARD), -1.0, 1.0)
        side = at.sqrt((1 - turn**2) * (1 - cosine**2)) * at.cos(circle * u[2])
        cosine = at.clip(cosine * turn + side, -1.0, 1.0)
        lucky = at.switch(u[3] < CHANCE, weight / CHANCE, 0)
        weight = at.switch(weight < LIGHT, lucky, weight)
        return [z, cosine, weight, back, through, kept], until(aesara, at.all(at.eq(weight, 0)))

    zero = at.constant(0.0, dtype="float32")
    begin = [at.zeros_like(start), start, at.ones_like(start), zero, zero, zero]
    (_, _, _, back, through, kept), updates = aesara.scan(walk, outputs_info=begin, n_steps=most)
    shares = at.stack([back[-1], through[-1], kept[-1]]) / packets
    return aesara.function([start], shares, updates=updates)
