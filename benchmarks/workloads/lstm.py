"""Long short-term memory with four gates, each with its own matrices."""

# ruff: noqa: N803, N806 - arrays have the names that the guide gives them

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.program import Program, jitted, normal, unroll
from benchmarks.programs.lstm import lstm
from benchmarks.symbolic import Symbolic
from benchmarks.workload import Contenders, Scale, Workload


class Size(NamedTuple):
    steps: int
    batch: int
    units: int


class Data(NamedTuple):
    """``x (steps, batch, units)``; matrices and biases of the gates i, f, o and the candidate. float32."""

    x: Any
    W: tuple[Any, ...]
    U: tuple[Any, ...]
    b: tuple[Any, ...]


def _data(size: Size) -> Data:
    rng = np.random.default_rng(0)
    array = partial(normal, rng)

    def gates(*shape: int) -> tuple[jax.Array, ...]:
        return tuple(array(*shape, scale=0.5 / size.units**0.5) for _ in range(4))

    n = size.units
    return Data(array(*size), gates(n, n), gates(n, n), gates(n))


def _make(size: Size, gradient: bool, scale: Scale) -> Contenders:
    size = scale.pick(size, quick=Size(20, 4, 32))
    data = _data(size._replace(steps=scale.steps(size.steps)))
    hoist = gradient and size.units <= 128
    tuned = partial(_tuned_grad, hoist) if gradient else _tuned
    return Contenders(
        loopjax=Symbolic(lstm, (data.x, *data.W, *data.U, *data.b), options={"gradient": gradient}),
        plain=lambda: _plain(data, gradient),
        tuned=lambda: jitted(tuned, *data),
    )


def _start(x: Any, units: int) -> tuple[Any, Any]:
    zeros = jnp.zeros((x.shape[1], units), x.dtype)
    return zeros, zeros


def _plain(data: Data, gradient: bool) -> Program:
    def network(x: Any, W: Any, U: Any, b: Any) -> Any:
        def step(carry: tuple[Any, Any], x_t: Any) -> tuple[tuple[Any, Any], Any]:
            h, c = carry
            i, f, o, g = (x_t @ W[k] + h @ U[k] + b[k] for k in range(4))
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        return lax.scan(step, _start(x, len(b[0])), x)[1]

    def cost(x: Any, W: Any, U: Any, b: Any) -> Any:
        return (network(x, W, U, b)[-1] ** 2).sum()

    return jitted(jax.grad(cost, argnums=(1, 2, 3)) if gradient else network, *data)


def _tuned(x: Any, W: Any, U: Any, b: Any) -> Any:
    """The gates' matrices as one; inputs are multiplied inside the loop, where the result stays in the cache."""
    W_all, U_all, b_all = jnp.concatenate(W, 1), jnp.concatenate(U, 1), jnp.concatenate(b)

    def step(carry: tuple[Any, Any], x_t: Any) -> tuple[tuple[Any, Any], Any]:
        h, c = carry
        i, f, o, g = jnp.split(x_t @ W_all + h @ U_all + b_all, 4, 1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    return lax.scan(step, _start(x, len(b[0])), x, unroll=unroll(4, 8))[1]


class Saved(NamedTuple):
    """Residuals of a step for the reverse loop: the state before it, the gates, and tanh of the new cell."""

    h: Any
    c: Any
    i: Any
    f: Any
    o: Any
    g: Any
    tanh_c: Any


def _tuned_grad(hoist: bool, x: Any, W: Any, U: Any, b: Any) -> Any:
    """Reverse loop by hand for the cotangents of the gates; the gradient of each matrix is one product after it.

    ``hoist`` multiplies inputs before the loop, which pays if the result fits the cache.
    """
    n = len(b[0])
    W_all, U_all, b_all = jnp.concatenate(W, 1), jnp.concatenate(U, 1), jnp.concatenate(b)

    def forward(carry: tuple[Any, Any], x_t: Any) -> tuple[tuple[Any, Any], Saved]:
        h, c = carry
        z = h @ U_all + (x_t if hoist else x_t @ W_all + b_all)
        i, f, o = jnp.split(jax.nn.sigmoid(z[:, : 3 * n]), 3, 1)
        g = jnp.tanh(z[:, 3 * n :])
        after = f * c + i * g
        tanh_c = jnp.tanh(after)
        return (o * tanh_c, after), Saved(h, c, i, f, o, g, tanh_c)

    start = _start(x, n)
    (last, _), saved = lax.scan(forward, start, x @ W_all + b_all if hoist else x, unroll=unroll(1, 8))
    back = U_all.T

    def reverse(carry: tuple[Any, Any], s: Saved) -> tuple[tuple[Any, Any], Any]:
        dh, dc = carry
        dc = dc + dh * s.o * (1 - s.tanh_c**2)
        into = (
            dc * s.g * s.i * (1 - s.i),
            dc * s.c * s.f * (1 - s.f),
            dh * s.tanh_c * s.o * (1 - s.o),
            dc * s.i * (1 - s.g**2),
        )
        dz = jnp.concatenate(into, 1)
        return (dz @ back, dc * s.f), dz

    _, dz = lax.scan(reverse, (2 * last, start[1]), saved, reverse=True, unroll=unroll(1, 8))
    flat = dz.reshape(-1, 4 * n)
    dW, dU = x.reshape(-1, x.shape[-1]).T @ flat, saved.h.reshape(-1, n).T @ flat
    return jnp.split(dW, 4, 1), jnp.split(dU, 4, 1), jnp.split(flat.sum(0), 4)


def _family(suffix: str, size: Size, large: bool) -> tuple[Workload, Workload]:
    what = f"four gates, T={size.steps}, batch {size.batch}, {size.units} units"
    return (
        Workload(f"lstm{suffix}", f"{what}, forward", partial(_make, size, False), compare=close(1e-4), large=large),
        Workload(
            f"lstm-grad{suffix}", f"{what}, gradient", partial(_make, size, True), compare=close(1e-4), large=large
        ),
    )


WORKLOADS = (*_family("", Size(100, 16, 128), False), *_family("-large", Size(100, 64, 256), True))
