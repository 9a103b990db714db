"""Control, float64."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

DT, GRAVITY, POLE, CART_MASS, POLE_MASS = 0.02, 9.8, 0.5, 1.0, 0.1
PLANT_DT, MOST, STIFFNESS, FRICTION = 0.01, 2.0, 1.0, 0.4


def regulator(aesara: Any, steps: int) -> Any:
    """States under the optimal linear feedback of a finite horizon, and its first gain, by Riccati's recursion
    backwards and the closed loop forwards (Kalman 1960)."""
    at = aesara.tensor
    A, B, Q, R = (at.dmatrix(name) for name in "ABQR")
    start = at.dvector("start")

    def back(P: Any) -> list[Any]:
        G = at.dot(B.T, P)
        K = at.linalg.solve(R + at.dot(G, B), at.dot(G, A))
        return [Q + at.dot(at.dot(A.T, P), A - at.dot(B, K)), K]

    (_, K), _ = aesara.scan(back, outputs_info=[Q, None], n_steps=steps)
    x, _ = aesara.scan(lambda K_t, x: at.dot(A - at.dot(B, K_t), x), sequences=K[::-1], outputs_info=start)
    return aesara.function([A, B, Q, R, start], [x, K[-1]])


def cart_pole(aesara: Any) -> Any:
    """Cost of a cart with a pole under given forces, and its gradient in each of them (Barto, Sutton and Anderson
    1983)."""
    at = aesara.tensor
    force, start = at.dvector("force"), at.dvector("start")
    mass = CART_MASS + POLE_MASS

    def step(u: Any, place: Any, speed: Any, angle: Any, turning: Any) -> list[Any]:
        sin, cos = at.sin(angle), at.cos(angle)
        push = (u + POLE_MASS * POLE * turning**2 * sin) / mass
        bend = (GRAVITY * sin - cos * push) / (POLE * (4 / 3 - POLE_MASS * cos**2 / mass))
        away = push - POLE_MASS * POLE * bend * cos / mass
        return [place + DT * speed, speed + DT * away, angle + DT * turning, turning + DT * bend]

    (place, _, angle, _), updates = aesara.scan(step, sequences=force, outputs_info=[start[i] for i in range(4)])
    cost = (angle**2).sum() + 0.1 * (place**2).sum() + 0.001 * (force**2).sum()
    return aesara.function([force, start], [cost, aesara.grad(cost, force)], updates=updates)


def tuning(aesara: Any) -> Any:
    """Squared error of a PID controller with saturation and conditional integration on a second-order plant, and its
    gradient in the three gains (Astrom and Hagglund 1995)."""
    at = aesara.tensor
    goal = at.dvector("goal")
    gains = proportional, integral, derivative = [at.dscalar(name) for name in ("P", "I", "D")]

    def step(goal_t: Any, total: Any, y: Any, v: Any) -> list[Any]:
        error = goal_t - y
        asked = proportional * error + integral * total - derivative * v
        u = at.clip(asked, -MOST, MOST)
        total = at.switch(at.eq(u, asked), total + PLANT_DT * error, total)
        v = v + PLANT_DT * (u - STIFFNESS * y - FRICTION * v)
        return [total, y + PLANT_DT * v, v, error**2]

    zero = at.zeros((), dtype="float64")
    (_, _, _, errors), updates = aesara.scan(step, sequences=goal, outputs_info=[zero, zero, zero, None])
    cost = errors.mean()
    return aesara.function([goal, *gains], [cost, *aesara.grad(cost, gains)], updates=updates)
