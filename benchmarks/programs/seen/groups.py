"""Groups of rows, maps of points, rules that vote and beliefs about a place, float64 and float32."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

import math
from typing import Any

from benchmarks.programs.applications import until

RIDGE = 1e-6
EARLY, EXAGGERATION, SLOW, FAST = 50, 4.0, 0.5, 0.8
STAY, MOVE, SLIP, WIDTH, DOUBT = 0.25, 0.5, 0.25, 1.5, 0.0625


def mixture(aesara: Any, most: int) -> Any:
    """Log-likelihood, shares and means of a mixture of normal densities by expectation and maximization until the
    likelihood rests (Dempster, Laird and Rubin 1977). ``X (row, feature)``; ``start (part, feature)`` are first means.
    Float64."""
    at = aesara.tensor
    X, start, tolerance = at.dmatrix("X"), at.dmatrix("start"), at.dscalar("tolerance")
    rows, size, parts = X.shape[0], X.shape[1], start.shape[0]
    eye = at.eye(size, dtype="float64")

    def iteration(share: Any, mean: Any, covariance: Any, before: Any) -> Any:
        apart = X.dimshuffle("x", 0, 1) - mean.dimshuffle(0, "x", 1)
        far = (at.matmul(apart, at.linalg.inv(covariance)) * apart).sum(axis=2)
        fixed = at.log(share) - 0.5 * (at.log(at.linalg.det(covariance)) + size * math.log(2 * math.pi))
        density = fixed.dimshuffle(0, "x") - 0.5 * far
        most_likely = density.max(axis=0)
        total = most_likely + at.log(at.exp(density - most_likely).sum(axis=0))
        value = total.sum()
        member = at.exp(density - total)
        count = member.sum(axis=1)
        mean = at.dot(member, X) / count.dimshuffle(0, "x")
        apart = X.dimshuffle("x", 0, 1) - mean.dimshuffle(0, "x", 1)
        weighted = (member.dimshuffle(0, 1, "x") * apart).dimshuffle(0, 2, 1)
        covariance = at.matmul(weighted, apart) / count.dimshuffle(0, "x", "x") + RIDGE * eye
        return [count / rows, mean, covariance, value], until(aesara, value - before < tolerance)

    covariance = at.zeros((parts, 1, 1), dtype="float64") + eye
    begin = [at.ones((parts,), dtype="float64") / parts, start, covariance, at.constant(-1e300, dtype="float64")]
    (share, mean, _, value), updates = aesara.scan(iteration, outputs_info=begin, n_steps=most)
    return aesara.function([X, start, tolerance], [value[-1], share[-1], mean[-1]], updates=updates)


def neighbour_embedding(aesara: Any, steps: int) -> Any:
    """Points in the plane that are near where rows are near, and how far the chances of neighbours are apart at the end
    (van der Maaten and Hinton 2008): gradient steps with momentum, at first with chances made larger. ``P`` has the
    chances of pairs. Float64."""
    at = aesara.tensor
    P, start, rate = at.dmatrix("P"), at.dmatrix("start"), at.dscalar("rate")
    others = 1 - at.eye(P.shape[0], dtype="float64")

    def divergence(Y: Any, P: Any) -> Any:
        square = (Y**2).sum(axis=1)
        near = others / (1 + square.dimshuffle(0, "x") + square - 2 * at.dot(Y, Y.T))
        Q = at.maximum(near / near.sum(), 1e-12)
        return (P * at.log(at.maximum(P, 1e-12) / Q)).sum()

    def step(time: Any, Y: Any, speed: Any) -> list[Any]:
        early = time < EARLY
        slope = aesara.grad(divergence(Y, at.switch(early, EXAGGERATION, 1.0) * P), Y)
        speed = at.switch(early, SLOW, FAST) * speed - rate * slope
        Y = Y + speed
        return [Y - Y.mean(axis=0), speed]

    begin = [start, at.zeros_like(start)]
    (Y, _), updates = aesara.scan(step, sequences=at.arange(steps), outputs_info=begin)
    return aesara.function([P, start, rate], [divergence(Y[-1], P), Y[-1]], updates=updates)


def boosting(aesara: Any, rounds: int) -> Any:
    """Rules that are chosen one after the other for the rows that those before had wrong, and the weight of each in
    their vote (Freund and Schapire 1997). ``votes (rule, row)`` and ``y`` are 1 or -1; ``weight`` is that of each row
    at first. Float64."""
    at = aesara.tensor
    votes, y, weight = at.dmatrix("votes"), at.dvector("y"), at.dvector("weight")

    def choose(weight: Any) -> list[Any]:
        edge = at.dot(votes, weight * y)
        best = at.argmax(abs(edge))
        part = 0.5 * at.log((1 + edge[best]) / (1 - edge[best]))
        weight = weight * at.exp(-part * y * votes[best])
        return [weight / weight.sum(), at.cast(best, "int32"), part]

    (weight_t, best, part), updates = aesara.scan(choose, outputs_info=[weight, None, None], n_steps=rounds)
    wrong = at.cast(y * at.dot(part, votes[best]) <= 0, "float64").mean()
    return aesara.function([votes, y, weight], [best, part, wrong, weight_t[-1]], updates=updates)


def localization(aesara: Any) -> Any:
    """Mean place of a robot and the chance of its best place after each step, from chances of all places and headings
    on a grid (Burgard, Fox, Hennig and Schmidt 1996; Thrun, Burgard and Fox 2005, chapter 8). ``turn (time, 3)`` are
    chances to turn left, not at all or right; the robot moves by a cell or two or stays; ``seen`` is the distance to a
    wall ahead, ``ahead (heading, row, column)`` that of each place, ``free`` is 0 in walls. Float32."""
    at = aesara.tensor
    turn, seen, ahead, free = at.fmatrix("turn"), at.fvector("seen"), at.ftensor3("ahead"), at.fmatrix("free")
    rows, columns = free.shape[0], free.shape[1]
    row, column = at.cast(at.arange(rows), "float32"), at.cast(at.arange(columns), "float32")
    ways = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))

    def forward(belief: Any, way: tuple[int, int]) -> Any:
        once = at.roll(at.roll(belief, way[0], axis=0), way[1], axis=1)
        twice = at.roll(at.roll(once, way[0], axis=0), way[1], axis=1)
        return STAY * belief + MOVE * once + SLIP * twice

    def step(turn_t: Any, seen_t: Any, belief: Any) -> list[Any]:
        left, right = at.roll(belief, -1, axis=0), at.roll(belief, 1, axis=0)
        belief = turn_t[0] * left + turn_t[1] * belief + turn_t[2] * right
        belief = at.stack([forward(belief[k], way) for k, way in enumerate(ways)]) * free
        belief = belief * (at.exp(-0.5 * ((ahead - seen_t) / WIDTH) ** 2) + DOUBT)
        belief = belief / belief.sum()
        place = belief.sum(axis=0)
        mean = at.stack([(place.sum(axis=1) * row).sum(), (place.sum(axis=0) * column).sum()])
        return [belief, mean, place.max()]

    start = at.zeros_like(ahead) + free / (8 * free.sum())
    (_, mean, best), updates = aesara.scan(step, sequences=[turn, seen], outputs_info=[start, None, None])
    return aesara.function([turn, seen, ahead, free], [mean, best], updates=updates)
