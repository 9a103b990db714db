"""The guide's recurrent network.

``x(t) = tanh(W x(t-1) + W_in_1 u(t) + W_in_2 u(t-4) + W_feedback y(t-1))`` and ``y(t) = W_out x(t-3)``.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.program import Program, jitted, normal, unroll
from benchmarks.programs.rnn_taps import rnn_taps
from benchmarks.symbolic import Symbolic
from benchmarks.workload import Contenders, Scale, Workload

UNITS = 64


class Data(NamedTuple):
    """Inputs ``u (T + 4, units)``, ``x0 (3, units)``, ``y0 (units,)`` and five square matrices, float32."""

    u: Any
    x0: Any
    y0: Any
    W: Any
    W_in_1: Any
    W_in_2: Any
    W_feedback: Any
    W_out: Any


def _data(steps: int) -> Data:
    rng = np.random.default_rng(0)
    array = partial(normal, rng)
    matrices = (array(UNITS, UNITS, scale=0.3 / UNITS**0.5) for _ in range(5))
    return Data(array(steps + 4, UNITS), array(3, UNITS), array(UNITS), *matrices)


def _make(gradient: bool, scale: Scale) -> Contenders:
    data = _data(scale.steps(500, quick=100))
    return Contenders(
        loopjax=Symbolic(rnn_taps, data, options={"gradient": gradient}),
        plain=lambda: _plain(data, gradient),
        tuned=lambda: jitted(_tuned_grad if gradient else _tuned, *data),
    )


def _plain(data: Data, gradient: bool) -> Program:
    def network(*arrays: Any) -> list[Any]:
        d = Data(*arrays)

        def step(carry: tuple[Any, Any], inputs: tuple[Any, Any]) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
            window, y_tm1 = carry
            u_tm4, u_t = inputs
            x_t = jnp.tanh(window[-1] @ d.W + u_t @ d.W_in_1 + u_tm4 @ d.W_in_2 + y_tm1 @ d.W_feedback)
            y_t = window[0] @ d.W_out
            return (jnp.concatenate([window[1:], x_t[None]]), y_t), (x_t, y_t)

        return list(lax.scan(step, (d.x0, d.y0), (d.u[:-4], d.u[4:]))[1])

    def cost(*arrays: Any) -> Any:
        return (network(*arrays)[1] ** 2).sum()

    return jitted(jax.grad(cost, argnums=tuple(range(3, 8))) if gradient else network, *data)


def _tuned(*arrays: Any) -> list[Any]:
    """Input products before the loop, ``y`` after it; feedback from ``x(t-4)`` through ``W_out W_feedback``."""
    d = Data(*arrays)
    both = d.W_out @ d.W_feedback
    driven = (d.u[4:] @ d.W_in_1 + d.u[:-4] @ d.W_in_2).at[0].add(d.y0 @ d.W_feedback)

    def step(carry: tuple[Any, ...], driven_t: Any) -> tuple[tuple[Any, ...], Any]:
        x_tm4, x_tm3, x_tm2, x_tm1 = carry
        x_t = jnp.tanh(x_tm1 @ d.W + x_tm4 @ both + driven_t)
        return (x_tm3, x_tm2, x_tm1, x_t), x_t

    _, x = lax.scan(step, (jnp.zeros_like(d.y0), *d.x0), driven, unroll=unroll(4, 8))
    return [x, jnp.concatenate([d.x0, x[:-3]]) @ d.W_out]


def _tuned_grad(*arrays: Any) -> list[Any]:
    """Reverse loop by hand for the cotangent of each step; the gradient of each matrix is one product after it."""
    d = Data(*arrays)
    x, y = _tuned(*arrays)
    none = jnp.zeros_like(d.y0)
    from_cost = 2 * y
    into_x = jnp.concatenate([from_cost[3:] @ d.W_out.T, jnp.zeros_like(d.x0)])
    back_1, back_4 = d.W.T, (d.W_out @ d.W_feedback).T

    def step(carry: tuple[Any, ...], inputs: tuple[Any, Any]) -> tuple[tuple[Any, ...], Any]:
        z_tp4, z_tp3, z_tp2, z_tp1 = carry
        into_t, slope = inputs
        z_t = (z_tp1 @ back_1 + z_tp4 @ back_4 + into_t) * slope
        return (z_tp3, z_tp2, z_tp1, z_t), z_t

    _, z = lax.scan(step, (none,) * 4, (into_x, 1 - x * x), reverse=True, unroll=unroll(4, 8))
    into_y = from_cost + jnp.concatenate([z[1:] @ d.W_feedback.T, none[None]])
    x_tm1, x_tm3 = jnp.concatenate([d.x0[-1:], x[:-1]]), jnp.concatenate([d.x0, x[:-3]])
    y_tm1 = jnp.concatenate([d.y0[None], y[:-1]])
    return [x_tm1.T @ z, d.u[4:].T @ z, d.u[:-4].T @ z, y_tm1.T @ z, x_tm3.T @ into_y]


WORKLOADS = (
    Workload("rnn-taps", "the guide's network, T=500, 64 units, forward", partial(_make, False), compare=close(1e-5)),
    Workload("rnn-taps-grad", "its gradient in five matrices", partial(_make, True), compare=close(1e-5)),
)
