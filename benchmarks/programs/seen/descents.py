"""Electrons of an atom, a linear program, inputs within bounds and a path over a pass."""

# ruff: noqa: N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import stream, until

MOVE, EARLY = 0.8, 100
SAFE = 0.995
SPRING, PACE = 200.0, 2e-4
HEIGHT = (-200.0, -100.0, -170.0, 15.0)
ACROSS = (-1.0, -1.0, -6.5, 0.7)
MIXED = (0.0, 0.0, 11.0, 0.6)
ALONG = (-10.0, -10.0, -6.5, 0.7)
PLACE_X, PLACE_Y = (1.0, 0.0, -0.5, -1.0), (0.0, 0.5, 1.5, 1.0)


def helium(aesara: Any, steps: int) -> Any:
    """Mean energy of the two electrons of helium by random moves of walkers that a trial function accepts (Thijssen
    2007, chapter 12; after McMillan 1965). ``start (walker, electron, axis)``. Float32."""
    at, trng = aesara.tensor, stream(aesara)
    start, bend = at.ftensor3("start"), at.fscalar("bend")
    count = start.shape[0]

    def radii(x: Any) -> tuple[Any, Any, Any]:
        near = at.sqrt((x**2).sum(axis=2))
        return near[:, 0], near[:, 1], at.sqrt(((x[:, 0] - x[:, 1]) ** 2).sum(axis=1))

    def log_density(x: Any) -> Any:
        first, second, between = radii(x)
        return -4 * (first + second) + between / (1 + bend * between)

    def energy(x: Any) -> Any:
        first, second, between = radii(x)
        damped = 1 + bend * between
        apart = x[:, 0] - x[:, 1]
        turned = ((x[:, 0] / first.dimshuffle(0, "x") - x[:, 1] / second.dimshuffle(0, "x")) * apart).sum(axis=1)
        pull = turned / (between * damped**2) - 1 / (between * damped**3)
        return -4 + pull - 1 / (4 * damped**4) + 1 / between

    def step(x: Any, density: Any) -> list[Any]:
        proposed = x + MOVE * (trng.uniform(size=(count, 2, 3), dtype="float32") - 0.5)
        new = log_density(proposed)
        accepted = at.log(trng.uniform(size=(count,), dtype="float32")) < new - density
        x = at.switch(accepted.dimshuffle(0, "x", "x"), proposed, x)
        return [x, at.switch(accepted, new, density), energy(x).mean()]

    (_, _, found), updates = aesara.scan(step, outputs_info=[start, log_density(start), None], n_steps=steps)
    return aesara.function([start, bend], found[EARLY:].mean(), updates=updates)


def interior_point(aesara: Any, most: int) -> Any:
    """Least value of ``c x`` where ``A x = b`` and ``x`` is positive, and ``x``, by steps inside that are predicted and
    then corrected, until the gap is small (Mehrotra 1992). Float64."""
    at = aesara.tensor
    A, b, c, tolerance = at.dmatrix("A"), at.dvector("b"), at.dvector("c"), at.dscalar("tolerance")
    size = c.shape[0]

    def longest(value: Any, change: Any) -> Any:
        return at.minimum(1.0, at.switch(change < 0, -value / at.switch(change < 0, change, -1.0), 1e9).min())

    def step(x: Any, price: Any, slack: Any) -> Any:
        missing, dual = b - at.dot(A, x), c - at.dot(A.T, price) - slack
        weight = x / slack
        matrix = at.dot(A * weight, A.T)

        def direction(target: Any) -> tuple[Any, Any, Any]:
            moved = at.linalg.solve(matrix, missing + at.dot(A, weight * dual - target / slack))
            of_slack = dual - at.dot(A.T, moved)
            return (target - x * of_slack) / slack, moved, of_slack

        gap = at.dot(x, slack) / size
        x_1, _, slack_1 = direction(-x * slack)
        better = at.dot(x + longest(x, x_1) * x_1, slack + longest(slack, slack_1) * slack_1) / size
        x_2, price_2, slack_2 = direction((better / gap) ** 3 * gap - x * slack - x_1 * slack_1)
        x = x + SAFE * longest(x, x_2) * x_2
        part = SAFE * longest(slack, slack_2)
        slack = slack + part * slack_2
        return [x, price + part * price_2, slack], until(aesara, at.dot(x, slack) < tolerance)

    start = [10 * at.ones_like(c), at.zeros_like(b), 10 * at.ones_like(c)]
    (x, _, _), updates = aesara.scan(step, outputs_info=start, n_steps=most)
    return aesara.function([A, b, c, tolerance], [at.dot(c, x[-1]), x[-1]], updates=updates)


def predictive_control(aesara: Any, rounds: int) -> Any:
    """Cost of a system that is steered by plans ahead with bounds on inputs, each improved by some steps of Nesterov's
    method (Richter, Jones and Morari 2009), and its gradient in the logarithm of the price of inputs in plans: a loop
    with a loop. ``H`` and ``F`` are what a plan costs by itself and together with the state; a plan starts from the one
    before. Float64."""
    at = aesara.tensor
    M, B, H, F, noise = (at.dmatrix(name) for name in ("M", "B", "H", "F", "noise"))
    price, steep, keep = at.dscalar("price"), at.dscalar("steep"), at.dscalar("keep")
    inputs = B.shape[1]
    matrix = H + at.exp(price) * at.eye(H.shape[0], dtype="float64")

    def period(noise_t: Any, x: Any, plan: Any) -> list[Any]:
        linear = at.dot(F, x)

        def improve(plan: Any, ahead: Any) -> list[Any]:
            new = at.clip(ahead - (at.dot(matrix, ahead) + linear) / steep, -1, 1)
            return [new, new + keep * (new - plan)]

        (plans, _), _ = aesara.scan(improve, outputs_info=[plan, plan], n_steps=rounds)
        plan = plans[-1]
        u = plan[:inputs]
        x = at.dot(M, x) + at.dot(B, u) + noise_t
        return [x, at.concatenate([plan[inputs:], at.zeros_like(u)]), (x**2).sum() + 0.1 * (u**2).sum()]

    start = [at.zeros_like(M[0]), at.zeros_like(H[0]), None]
    (_, _, costs), updates = aesara.scan(period, sequences=noise, outputs_info=start)
    cost = costs.mean()
    arguments = [M, B, H, F, noise, price, steep, keep]
    return aesara.function(arguments, [cost, aesara.grad(cost, price)], updates=updates)


def reaction_path(aesara: Any, steps: int) -> Any:
    """Path of least energy from one molecule to another, and energies along it, as a band of pictures with springs that
    slides down where it is across the path (Henkelman and Jonsson 2000), in the plane of Mueller and Brown (1979).
    ``start (picture, axis)``. Float64."""
    at = aesara.tensor
    start = at.dmatrix("start")

    def energy(path: Any) -> Any:
        total = 0.0
        for height, a, b, c, x, y in zip(HEIGHT, ACROSS, MIXED, ALONG, PLACE_X, PLACE_Y, strict=True):
            to_x, to_y = path[:, 0] - x, path[:, 1] - y
            total = total + height * at.exp(a * to_x**2 + b * to_x * to_y + c * to_y**2)
        return total

    def step(path: Any) -> Any:
        inner = path[1:-1]
        slope = aesara.grad(energy(inner).sum(), inner)
        tangent = path[2:] - path[:-2]
        tangent = tangent / at.sqrt((tangent**2).sum(axis=1, keepdims=True))
        lengths = at.sqrt(((path[1:] - path[:-1]) ** 2).sum(axis=1))
        spring = SPRING * (lengths[1:] - lengths[:-1])
        down = slope - (slope * tangent).sum(axis=1, keepdims=True) * tangent
        return at.set_subtensor(path[1:-1], inner + PACE * (spring.dimshuffle(0, "x") * tangent - down))

    path, updates = aesara.scan(step, outputs_info=start, n_steps=steps)
    return aesara.function([start], [path[-1], energy(path[-1])], updates=updates)
