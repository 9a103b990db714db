"""Markov chain Monte Carlo and sequential Monte Carlo, float64."""

# ruff: noqa: N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import stream, until

HMC_STEP = 0.1
MALA_STEP = 0.5
BANANA_STEP = 0.7
SLICE_WIDTH = 12.0
BETA = 0.3
MIXTURE_SD, MIXTURE_PRECISION = 1.0, 0.1
SSM_DECAY, SSM_STATE_SD, SSM_SEEN_SD = 0.9, 0.5, 0.5
LADDER_STEP = 0.5


def hmc(aesara: Any, draws: int, leapfrogs: int) -> Any:
    """Mean of Hamiltonian Monte Carlo's draws of a logistic regression's weights (Neal 2011); ``y`` is -1 or 1."""
    at, trng = aesara.tensor, stream(aesara)
    X, y, start = at.dmatrix("X"), at.dvector("y"), at.dvector("start")

    def potential(q: Any) -> Any:
        return at.softplus(-y * at.dot(X, q)).sum() + 0.5 * (q**2).sum()

    def leapfrog(q: Any, p: Any) -> list[Any]:
        p = p - HMC_STEP / 2 * aesara.grad(potential(q), q)
        q = q + HMC_STEP * p
        return [q, p - HMC_STEP / 2 * aesara.grad(potential(q), q)]

    def draw(q: Any) -> Any:
        p = trng.normal(size=q.shape, dtype="float64")
        (ends, momenta), _ = aesara.scan(leapfrog, outputs_info=[q, p], n_steps=leapfrogs)
        end, momentum = ends[-1], momenta[-1]
        gain = potential(q) + 0.5 * (p**2).sum() - potential(end) - 0.5 * (momentum**2).sum()
        return at.switch(at.log(trng.uniform(size=(), dtype="float64")) < gain, end, q)

    q, updates = aesara.scan(draw, outputs_info=start, n_steps=draws)
    return aesara.function([X, y, start], q.mean(axis=0), updates=updates)


def mala(aesara: Any, draws: int) -> Any:
    """Mean squares of draws of normal variables with a given precision, by the Metropolis-adjusted Langevin algorithm
    (Roberts and Tweedie 1996), many chains."""
    at, trng = aesara.tensor, stream(aesara)
    precision, start = at.dmatrix("precision"), at.dmatrix("start")

    def log_density(x: Any) -> Any:
        return -0.5 * (at.dot(x, precision) * x).sum(axis=1)

    def drift(x: Any) -> Any:
        return x + MALA_STEP**2 / 2 * aesara.grad(log_density(x).sum(), x)

    def log_proposal(to: Any, x: Any) -> Any:
        return -((to - drift(x)) ** 2).sum(axis=1) / (2 * MALA_STEP**2)

    def draw(x: Any) -> Any:
        proposed = drift(x) + MALA_STEP * trng.normal(size=x.shape, dtype="float64")
        gain = log_density(proposed) + log_proposal(x, proposed) - log_density(x) - log_proposal(proposed, x)
        accepted = at.log(trng.uniform(size=(x.shape[0],), dtype="float64")) < gain
        return at.switch(accepted.dimshuffle(0, "x"), proposed, x)

    x, updates = aesara.scan(draw, outputs_info=start, n_steps=draws)
    return aesara.function([precision, start], (x**2).mean(axis=(0, 1)), updates=updates)


def metropolis(aesara: Any, draws: int) -> Any:
    """Means of both coordinates of a banana-shaped density by random-walk Metropolis, many chains."""
    at, trng = aesara.tensor, stream(aesara)
    x0, y0 = at.dvector("x0"), at.dvector("y0")

    def log_density(x: Any, y: Any) -> Any:
        return -0.5 * x**2 - 0.5 * ((y - x**2) / 0.5) ** 2

    def draw(x: Any, y: Any) -> list[Any]:
        x1 = x + BANANA_STEP * trng.normal(size=x.shape, dtype="float64")
        y1 = y + BANANA_STEP * trng.normal(size=x.shape, dtype="float64")
        gain = log_density(x1, y1) - log_density(x, y)
        accepted = at.log(trng.uniform(size=x.shape, dtype="float64")) < gain
        return [at.switch(accepted, x1, x), at.switch(accepted, y1, y)]

    (x, y), updates = aesara.scan(draw, outputs_info=[x0, y0], n_steps=draws)
    return aesara.function([x0, y0], [x.mean(), y.mean()], updates=updates)


def slice_sampler(aesara: Any, draws: int, shrinks: int) -> Any:
    """Mean square of a standard normal variable by slice sampling with shrinkage (Neal 2003)."""
    at, trng = aesara.tensor, stream(aesara)
    start = at.dscalar("start")

    def draw(x: Any) -> Any:
        level = -0.5 * x**2 + at.log(trng.uniform(size=(), dtype="float64"))
        low = x - SLICE_WIDTH * trng.uniform(size=(), dtype="float64")

        def shrink(low: Any, high: Any, _: Any) -> Any:
            tried = low + (high - low) * trng.uniform(size=(), dtype="float64")
            left = tried < x
            shrunk = [at.switch(left, tried, low), at.switch(left, high, tried), tried]
            return shrunk, until(aesara, -0.5 * tried**2 > level)

        (_, _, tried), _ = aesara.scan(shrink, outputs_info=[low, low + SLICE_WIDTH, x], n_steps=shrinks)
        return tried[-1]

    x, updates = aesara.scan(draw, outputs_info=start, n_steps=draws)
    return aesara.function([start], (x**2).mean(), updates=updates)


def ising(aesara: Any, sweeps: int) -> Any:
    """Mean energy per site over Metropolis sweeps of the Ising model, both colours of the checkerboard in turn."""
    at, trng = aesara.tensor, stream(aesara)
    start, black = at.imatrix("start"), at.imatrix("black")

    def flipped(spins: Any, colour: Any) -> Any:
        around = at.roll(spins, 1, 0) + at.roll(spins, -1, 0) + at.roll(spins, 1, 1) + at.roll(spins, -1, 1)
        accepted = trng.uniform(size=spins.shape, dtype="float32") < at.exp(-2 * BETA * spins * around)
        return at.switch(at.and_(accepted, at.eq(black, colour)), -spins, spins)

    def sweep(spins: Any) -> list[Any]:
        spins = flipped(flipped(spins, 1), 0)
        energy = -(spins * (at.roll(spins, 1, 0) + at.roll(spins, 1, 1))).sum()
        return [spins, energy]

    (_, energy), updates = aesara.scan(sweep, outputs_info=[start, None], n_steps=sweeps)
    return aesara.function([start, black], at.cast(energy.mean() / start.size, "float64"), updates=updates)


def gibbs_mixture(aesara: Any, draws: int) -> Any:
    """Mean of the draws of a normal mixture's means, by Gibbs sampling of labels and means."""
    at, trng = aesara.tensor, stream(aesara)
    y, start = at.dvector("y"), at.dvector("start")

    def draw(means: Any) -> Any:
        score = -0.5 * ((y.dimshuffle(0, "x") - means) / MIXTURE_SD) ** 2
        total = at.cumsum(at.special.softmax(score, axis=1), axis=1)
        u = trng.uniform(size=y.shape, dtype="float64")
        label = (total[:, :-1] < u.dimshuffle(0, "x")).sum(axis=1)
        member = at.cast(at.eq(label.dimshuffle(0, "x"), at.arange(means.shape[0])), "float64")
        precision = MIXTURE_PRECISION + member.sum(axis=0) / MIXTURE_SD**2
        noise = trng.normal(size=means.shape, dtype="float64")
        return at.dot(y, member) / MIXTURE_SD**2 / precision + noise / at.sqrt(precision)

    means, updates = aesara.scan(draw, outputs_info=start, n_steps=draws)
    return aesara.function([y, start], means.mean(axis=0), updates=updates)


def particle_gibbs(aesara: Any, draws: int, count: int) -> Any:
    """Mean and mean square of paths of a linear state-space model by conditional sequential Monte Carlo (Andrieu,
    Doucet and Holenstein 2010): the last particle follows the previous path."""
    at, trng = aesara.tensor, stream(aesara)
    y, start = at.dvector("y"), at.dvector("start")

    def forward(y_t: Any, kept: Any, x: Any, weight: Any) -> list[Any]:
        total = at.cumsum(weight)
        u = trng.uniform(size=(count,), dtype="float64") * total[-1]
        parent = at.clip(at.searchsorted(total, u), 0, count - 1)
        parent = at.set_subtensor(parent[-1], count - 1)
        x = SSM_DECAY * x[parent] + SSM_STATE_SD * trng.normal(size=(count,), dtype="float64")
        x = at.set_subtensor(x[-1], kept)
        score = -0.5 * ((y_t - x) / SSM_SEEN_SD) ** 2
        return [x, at.exp(score - score.max()), parent]

    def draw(path: Any) -> Any:
        zeros, ones = at.zeros((count,), dtype="float64"), at.ones((count,), dtype="float64")
        (x, weight, parent), _ = aesara.scan(forward, sequences=[y, path], outputs_info=[zeros, ones, None])
        total = at.cumsum(weight[-1])
        u = trng.uniform(size=(), dtype="float64") * total[-1]
        last = at.cast(at.clip((total < u).sum(), 0, count - 1), "int64")

        def backward(x_t: Any, parent_t: Any, chosen: Any) -> list[Any]:
            return [at.cast(parent_t[chosen], "int64"), x_t[chosen]]

        (_, path), _ = aesara.scan(backward, sequences=[x, parent], outputs_info=[last, None], go_backwards=True)
        return path[::-1]

    paths, updates = aesara.scan(draw, outputs_info=start, n_steps=draws)
    return aesara.function([y, start], [paths.mean(), (paths**2).mean()], updates=updates)


def tempering(aesara: Any, draws: int) -> Any:
    """Mean square of a variable in a double well by parallel tempering (Geyer 1991): neighbouring temperatures swap
    after every step, even and odd pairs in turn."""
    at, trng = aesara.tensor, stream(aesara)
    cold, start = at.dvector("cold"), at.dmatrix("start")
    levels = cold.shape[0]
    place = at.arange(levels)

    def energy(x: Any) -> Any:
        return (x**2 - 1) ** 2

    def draw(t: Any, x: Any) -> Any:
        beta = cold.dimshuffle(0, "x")
        proposed = x + LADDER_STEP * trng.normal(size=x.shape, dtype="float64")
        gain = beta * (energy(x) - energy(proposed))
        x = at.switch(at.log(trng.uniform(size=x.shape, dtype="float64")) < gain, proposed, x)
        partner = at.switch(at.eq((place + t) % 2, 0), place + 1, place - 1)
        partner = at.switch(at.and_(partner >= 0, partner < levels), partner, place)
        u = trng.uniform(size=x.shape, dtype="float64")[at.minimum(place, partner)]
        gain = (beta - beta[partner]) * (energy(x) - energy(x[partner]))
        return at.switch(at.log(u) < gain, x[partner], x)

    x, updates = aesara.scan(draw, sequences=at.arange(draws), outputs_info=start)
    return aesara.function([cold, start], (x[:, 0] ** 2).mean(), updates=updates)
