"""Ordinary differential equation by the Runge-Kutta method of fourth order: Van der Pol's oscillator."""

from __future__ import annotations

from typing import Any

MU, DT = 1.5, 0.01


def ode(aesara: Any, steps: int) -> Any:
    """Last positions and velocities, from initial ``x`` and ``v``, both ``(runs,)``."""
    at = aesara.tensor
    x0, v0 = at.dvector("x0"), at.dvector("v0")

    def slope(x: Any, v: Any) -> tuple[Any, Any]:
        return v, MU * (1 - x**2) * v - x

    def step(x: Any, v: Any) -> list[Any]:
        x1, v1 = slope(x, v)
        x2, v2 = slope(x + DT / 2 * x1, v + DT / 2 * v1)
        x3, v3 = slope(x + DT / 2 * x2, v + DT / 2 * v2)
        x4, v4 = slope(x + DT * x3, v + DT * v3)
        return [x + DT / 6 * (x1 + 2 * x2 + 2 * x3 + x4), v + DT / 6 * (v1 + 2 * v2 + 2 * v3 + v4)]

    (x, v), updates = aesara.scan(fn=step, outputs_info=[x0, v0], n_steps=steps)
    return aesara.function([x0, v0], [x[-1], v[-1]], updates=updates)
