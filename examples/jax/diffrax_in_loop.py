"""A Diffrax solve is a step of a LoopJAX loop, and the gradient passes through both.

Needs diffrax. Run it with ``python -m examples.jax.diffrax_in_loop``.
"""

from __future__ import annotations

import diffrax
import jax
import numpy as np

import loopjax
import loopjax.tensor as at


def flow(y: jax.Array, rate: jax.Array) -> jax.Array:
    """Exponential decay over a time of 0.5."""
    term = diffrax.ODETerm(lambda t, y, rate: -rate * y)
    controller = diffrax.PIDController(rtol=1e-6, atol=1e-8)
    solution = diffrax.diffeqsolve(
        term, diffrax.Tsit5(), 0.0, 0.5, 0.1, y, rate, stepsize_controller=controller, max_steps=64
    )
    return solution.ys[-1]


def main() -> tuple[np.ndarray, np.ndarray]:
    """Doses of 1 every 0.5 of time into a body that decays at ``rate``: levels, and the derivative of the last one."""
    doses, rate = at.dvector("doses"), at.dscalar("rate")
    solve = loopjax.wrap_jax(flow, name="flow")
    levels, _ = loopjax.scan(
        lambda dose, level, rate: solve(level + dose, rate), doses, at.zeros((), dtype="float64"), [rate]
    )
    f = loopjax.function([doses, rate], [levels, loopjax.grad(levels[-1], rate)])
    return f(np.ones(6), 0.8)


if __name__ == "__main__":
    levels, slope = main()
    decay = np.exp(-0.4 * np.arange(1, 7))
    print(f"levels {levels}, slope of the last {slope}")
    np.testing.assert_allclose(levels, np.cumsum(decay), rtol=1e-5)
    np.testing.assert_allclose(slope, -(0.5 * np.arange(1, 7) * decay).sum(), rtol=1e-4)
