"""State estimation and adaptive filters, float64."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

SLAM_DT = 0.1
LATTICE_FORGETTING, LATTICE_RATE = 0.98, 0.02


def interacting_models(aesara: Any) -> Any:
    """Means of an interacting multiple model filter and the chances of its models (Blom and Bar-Shalom 1988); ``q``
    scales the noise of each model."""
    at = aesara.tensor
    z, F, Q, H, R, chances = (at.dmatrix(name) for name in ("z", "F", "Q", "H", "R", "chances"))
    q = at.dvector("q")
    models = 2

    def step(z_t: Any, means: Any, covariances: Any, chance: Any) -> list[Any]:
        ahead = at.dot(chance, chances)
        found = []
        for j in range(models):
            weight = chances[:, j] * chance / ahead[j]
            m = at.dot(weight, means)
            apart = means - m
            P = (weight.dimshuffle(0, "x", "x") * covariances).sum(axis=0) + at.dot(apart.T * weight, apart)
            m, P = at.dot(F, m), at.dot(at.dot(F, P), F.T) + q[j] * Q
            S = at.dot(at.dot(H, P), H.T) + R
            inverse = at.linalg.inv(S)
            error = z_t - at.dot(H, m)
            K = at.dot(at.dot(P, H.T), inverse)
            density = at.exp(-0.5 * at.dot(error, at.dot(inverse, error))) / at.sqrt(at.linalg.det(S))
            found.append((m + at.dot(K, error), P - at.dot(at.dot(K, H), P), ahead[j] * density))
        means, covariances, joint = (at.stack(list(parts)) for parts in zip(*found, strict=True))
        chance = joint / joint.sum()
        return [means, covariances, chance, at.dot(chance, means)]

    n = F.shape[0]
    start = [
        at.zeros((models, n), dtype="float64"),
        at.stack(models * [at.eye(n, dtype="float64")]),
        at.full((models,), 1 / models, dtype="float64"),
        None,
    ]
    (_, _, chance, m), updates = aesara.scan(step, sequences=z, outputs_info=start)
    return aesara.function([z, F, Q, H, R, chances, q], [m, chance], updates=updates)


def slam(aesara: Any) -> Any:
    """Poses, the map and its variances by the extended Kalman filter for simultaneous localization and mapping (Smith
    and Cheeseman 1986): range and bearing of one landmark ``which`` a step, and speeds ``u``."""
    at = aesara.tensor
    u, z, which = at.dmatrix("u"), at.dmatrix("z"), at.lvector("which")
    start, P0, Q, R = at.dvector("start"), at.dmatrix("P0"), at.dmatrix("Q"), at.dmatrix("R")
    n = start.shape[0]

    def step(u_t: Any, z_t: Any, i: Any, x: Any, P: Any) -> list[Any]:
        along = SLAM_DT * u_t[0]
        cos, sin = at.cos(x[2]), at.sin(x[2])
        G = at.eye(n, dtype="float64")
        G = at.set_subtensor(G[0, 2], -along * sin)
        G = at.set_subtensor(G[1, 2], along * cos)
        x = at.inc_subtensor(x[:3], at.stack([along * cos, along * sin, SLAM_DT * u_t[1]]))
        P = at.dot(at.dot(G, P), G.T) + Q

        place = 3 + 2 * i
        east, north = x[place] - x[0], x[place + 1] - x[1]
        square = east**2 + north**2
        distance = at.sqrt(square)
        H = at.zeros((2, n), dtype="float64")
        H = at.set_subtensor(H[0, :2], at.stack([-east, -north]) / distance)
        H = at.set_subtensor(H[1, :3], at.stack([north / square, -east / square, at.constant(-1.0, dtype="float64")]))
        H = at.set_subtensor(H[0, place], east / distance)
        H = at.set_subtensor(H[0, place + 1], north / distance)
        H = at.set_subtensor(H[1, place], -north / square)
        H = at.set_subtensor(H[1, place + 1], east / square)
        turn = z_t[1] - at.arctan2(north, east) + x[2]
        error = at.stack([z_t[0] - distance, at.arctan2(at.sin(turn), at.cos(turn))])
        S = at.dot(at.dot(H, P), H.T) + R
        K = at.dot(at.dot(P, H.T), at.linalg.inv(S))
        return [x + at.dot(K, error), P - at.dot(at.dot(K, H), P)]

    (x, P), updates = aesara.scan(step, sequences=[u, z, which], outputs_info=[start, P0])
    return aesara.function([u, z, which, start, P0, Q, R], [x[:, :3], x[-1], at.diagonal(P[-1])], updates=updates)


def phase_locked(aesara: Any) -> Any:
    """Mean squared error of a second-order phase-locked loop on a signal's two parts (Gardner 1979), and its
    derivatives in both gains."""
    at = aesara.tensor
    real, imaginary = at.dvector("real"), at.dvector("imaginary")
    gains = [at.dscalar("proportional"), at.dscalar("integral")]

    def step(i: Any, q: Any, phase: Any, speed: Any) -> list[Any]:
        error = q * at.cos(phase) - i * at.sin(phase)
        speed = speed + gains[1] * error
        return [phase + speed + gains[0] * error, speed, error]

    zero = at.zeros((), dtype="float64")
    (_, _, error), updates = aesara.scan(step, sequences=[real, imaginary], outputs_info=[zero, zero, None])
    cost = (error**2).mean()
    return aesara.function([real, imaginary, *gains], [cost, *aesara.grad(cost, gains)], updates=updates)


def lattice(aesara: Any, stages: int) -> Any:
    """Prediction errors and last reflection coefficients of a gradient adaptive lattice (Griffiths 1977), with a loop
    over its stages in each step."""
    at = aesara.tensor
    x = at.dvector("x")

    def step(x_t: Any, past: Any, reflection: Any, power: Any) -> list[Any]:
        def stage(k: Any, backward: Any, forward: Any) -> list[Any]:
            return [forward + k * backward, backward + k * forward]

        (forward, backward), _ = aesara.scan(stage, sequences=[reflection, past], outputs_info=[x_t, None])
        before = at.concatenate([x_t.dimshuffle("x"), forward[:-1]])
        power = LATTICE_FORGETTING * power + (1 - LATTICE_FORGETTING) * (before**2 + past**2)
        reflection = reflection - LATTICE_RATE * (forward * past + backward * before) / power
        past = at.concatenate([x_t.dimshuffle("x"), backward[:-1]])
        return [past, reflection, power, forward[-1]]

    zeros, ones = at.zeros((stages,), dtype="float64"), at.ones((stages,), dtype="float64")
    (_, reflection, _, error), updates = aesara.scan(step, sequences=x, outputs_info=[zeros, zeros, ones, None])
    return aesara.function([x], [error, reflection[-1]], updates=updates)
