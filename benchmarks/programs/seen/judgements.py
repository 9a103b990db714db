"""Learners in a world that changes, a building in an earthquake, a country in debt and beats of a heart, float64."""

# ruff: noqa: N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import until

TIME, SHARED, DAMPED = 0.02, 0.1, 0.01
PATIENCE, INTEREST, RETURNS, NOTHING = 0.953, 0.017, 0.282, -1e9
RESTS, LATE, SECONDS = 40, 1.66, 2


def volatile_beliefs(aesara: Any) -> Any:
    """Log-likelihood of choices of learners who believe that chances change, and that the pace of change does, and its
    gradient in four parameters of each (Mathys, Daunizeau, Friston and Stephan 2011). ``outcome (trial, learner)`` is 0
    or 1, and so is ``choice``, or -1 where none was made."""
    at = aesara.tensor
    outcome, choice, theta = at.bmatrix("outcome"), at.bmatrix("choice"), at.dmatrix("theta")
    tonic, coupling, pace, sharp = theta[0], at.exp(theta[1]), at.exp(theta[2]), at.exp(theta[3])

    def trial(outcome_t: Any, choice_t: Any, belief: Any, unsure: Any, level: Any, unsure_level: Any) -> list[Any]:
        chance = at.sigmoid(belief)
        change = at.exp(coupling * level + tonic)
        expected, expected_level = 1 / (unsure + change), 1 / (unsure_level + pace)
        precision = expected + chance * (1 - chance)
        new = belief + (outcome_t - chance) / precision
        weight, relative = change * expected, (change - unsure) * expected
        surprise = (1 / precision + (new - belief) ** 2) * expected - 1
        of_level = expected_level + coupling**2 / 2 * weight * (weight + relative * surprise)
        new_level = level + coupling / 2 * weight * surprise / of_level
        score = at.switch(choice_t >= 0, -at.softplus((1 - 2 * choice_t) * sharp * belief), 0.0)
        return [new, 1 / precision, new_level, 1 / of_level, score]

    zeros = at.zeros_like(tonic)
    start = [zeros, zeros + 0.1, zeros + 1.0, zeros + 1.0, None]
    (_, _, _, _, score), updates = aesara.scan(trial, sequences=[outcome, choice], outputs_info=start)
    total = score.sum()
    return aesara.function([outcome, choice, theta], [total, aesara.grad(total, theta)], updates=updates)


def earthquake(aesara: Any) -> Any:
    """Mean squared error of how far storeys of a building move in an earthquake, where springs yield and keep what was
    done to them (Bouc 1967; Wen 1976), and its gradients in the logarithms of their stiffness and in three numbers of
    their shape. ``ground`` is the ground's acceleration, ``seen (time, storey)``."""
    at = aesara.tensor
    ground, seen, mass = at.dvector("ground"), at.dmatrix("seen"), at.dvector("mass")
    stiffness, shape = at.dvector("stiffness"), at.dvector("shape")
    k, (beta, gamma), yields = at.exp(stiffness), (shape[0], shape[1]), at.exp(shape[2])
    base = at.zeros((1,), dtype="float64")

    def step(ground_t: Any, u: Any, v: Any, z: Any) -> list[Any]:
        drift = u - at.concatenate([base, u[:-1]])
        rate = v - at.concatenate([base, v[:-1]])
        force = k * (SHARED * drift + (1 - SHARED) * z + DAMPED * rate)
        change = rate - (beta * abs(rate) * abs(z) * z + gamma * rate * z**2) / yields**2
        v = v + TIME * ((at.concatenate([force[1:], base]) - force) / mass - ground_t)
        return [u + TIME * v, v, z + TIME * change]

    zeros = at.zeros_like(mass)
    (u, _, _), updates = aesara.scan(step, sequences=ground, outputs_info=[zeros, zeros, zeros])
    cost = ((u - seen) ** 2).mean()
    slopes = aesara.grad(cost, [stiffness, shape])
    return aesara.function([ground, seen, mass, stiffness, shape], [cost, *slopes], updates=updates)


def sovereign_default(aesara: Any, zero: int, most: int) -> Any:
    """Value of a country that may stop to pay its debts, the price of a bond for each debt and income, and where it
    stops, until values rest (Arellano 2008). ``P`` are chances of incomes, ``poor`` incomes after a default; ``zero``
    is the place of no debt in ``bonds``."""
    at = aesara.tensor
    P, income, poor = at.dmatrix("P"), at.dvector("income"), at.dvector("poor")
    bonds, tolerance = at.dvector("bonds"), at.dscalar("tolerance")

    def utility(c: Any) -> Any:
        return at.switch(c > 0, -1 / at.switch(c > 0, c, 1.0), NOTHING)

    def step(value: Any, alone: Any, price: Any) -> Any:
        ahead, ahead_alone = at.dot(value, P.T), at.dot(alone, P.T)
        new_alone = utility(poor) + PATIENCE * (RETURNS * ahead[zero] + (1 - RETURNS) * ahead_alone)
        paid = price * bonds.dimshuffle(0, "x")
        c = bonds.dimshuffle(0, "x", "x") + income - paid.dimshuffle("x", 0, 1)
        stays = (utility(c) + PATIENCE * ahead.dimshuffle("x", 0, 1)).max(axis=1)
        stops = new_alone > stays
        new_price = at.dot(1.0 - stops, P.T) / (1 + INTEREST)
        new = at.maximum(stays, new_alone)
        change = at.maximum(abs(new - value).max(), abs(new_price - price).max())
        return [new, new_alone, new_price, stops], until(aesara, change < tolerance)

    zeros = at.zeros((bonds.shape[0], income.shape[0]), dtype="float64")
    start = [zeros, zeros[0], zeros + 1 / (1 + INTEREST), None]
    (value, _, price, stops), updates = aesara.scan(step, outputs_info=start, n_steps=most)
    found = [value[-1], price[-1], stops[-1]]
    return aesara.function([P, income, poor, bonds, tolerance], found, updates=updates)


def heart_beats(aesara: Any) -> Any:
    """Times of beats in a record of 200 numbers a second, and the mean time between them: two recursive filters,
    slopes, squares and means over a window, then thresholds that follow heights of beats and of noise, with a search
    back where a beat is late (Pan and Tompkins 1985)."""
    at = aesara.tensor
    record = at.dvector("record")

    def before(x: Any, count: int) -> Any:
        return at.concatenate([at.zeros((count,), dtype="float64"), x])

    def low(x: Any, x_6: Any, x_12: Any, y_1: Any, y_2: Any) -> Any:
        return 2 * y_1 - y_2 + x - 2 * x_6 + x_12

    def high(x: Any, x_16: Any, x_17: Any, x_32: Any, y_1: Any) -> Any:
        return y_1 - x / 32 + x_16 - x_17 + x_32 / 32

    sequence = {"input": before(record, 12), "taps": [0, -6, -12]}
    start = {"initial": at.zeros((2,), dtype="float64"), "taps": [-1, -2]}
    smooth, _ = aesara.scan(low, sequences=sequence, outputs_info=start)
    sequence = {"input": before(smooth, 32), "taps": [0, -16, -17, -32]}
    band, _ = aesara.scan(high, sequences=sequence, outputs_info=at.constant(0.0, dtype="float64"))
    x = before(band, 4)
    square = ((2 * x[4:] + x[3:-1] - x[1:-3] - 2 * x[:-4]) / 8) ** 2
    total = before(at.cumsum(before(square, 29)), 1)
    power = (total[30:] - total[:-30]) / 30

    def look(
        m_0: Any, m: Any, m_1: Any, signal: Any, noise: Any, mean: Any, since: Any, best: Any, ago: Any
    ) -> list[Any]:
        since, ago = since + 1, ago + 1
        threshold = noise + 0.25 * (signal - noise)
        peak = at.and_(at.and_(m > m_0, m >= m_1), since > RESTS)
        beat = at.and_(peak, m > threshold)
        small = at.and_(peak, at.invert(beat))
        better = at.and_(small, m > best)
        best, ago = at.switch(better, m, best), at.switch(better, 0, ago)
        late = at.and_(at.invert(beat), at.and_(since > LATE * mean, best > threshold / 2))
        found = at.or_(beat, late)
        height, part = at.switch(beat, m, best), at.switch(beat, 0.125, 0.25)
        wait = at.switch(beat, since, since - ago)
        signal = at.switch(found, signal + part * (height - signal), signal)
        noise = at.switch(small, noise + 0.125 * (m - noise), noise)
        mean = at.switch(found, mean + 0.125 * (wait - mean), mean)
        since = at.switch(beat, 0, at.switch(late, ago, since))
        best, ago = at.switch(found, 0.0, best), at.switch(found, 0, ago)
        return [signal, noise, mean, at.cast(since, "int32"), best, at.cast(ago, "int32"), found]

    first = power[: 200 * SECONDS]
    none, zero = at.constant(0, dtype="int32"), at.constant(0.0, dtype="float64")
    start = [first.max() / 4, first.mean() / 2, at.constant(160.0, dtype="float64"), none, zero, none, None]
    sequence = {"input": power, "taps": [-1, 0, 1]}
    (_, _, mean, _, _, _, found), updates = aesara.scan(look, sequences=sequence, outputs_info=start)
    return aesara.function([record], [found, mean[-1]], updates=updates)
