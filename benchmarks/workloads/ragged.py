"""Long short-term memory over a minibatch of sequences of different lengths, against a scan masked by hand.

The scan by hand runs as many steps as the longest sequence, and holds the state of ended examples with ``where``.
"""

# ruff: noqa: N803, N806 - arrays have the names that the guide gives them

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import loopjax as aesara
import loopjax.tensor as at
from benchmarks.compare import close
from benchmarks.program import Program, jitted, normal, on_device, symbolic
from benchmarks.workload import Contenders, Scale, Workload


class Size(NamedTuple):
    steps: int
    batch: int
    units: int


class Data(NamedTuple):
    """``x (steps, batch, units)``, matrices and bias of all four gates, and ``lengths (batch,)``, at least a 40th of
    the steps. float32, int32."""

    x: Any
    W: Any
    U: Any
    b: Any
    lengths: Any


def _data(size: Size) -> Data:
    rng = np.random.default_rng(0)
    array = partial(normal, rng)
    n = size.units
    x, lengths = array(*size), rng.integers(size.steps // 40, size.steps + 1, size.batch)
    W, U = (array(n, 4 * n, scale=0.5 / n**0.5) for _ in range(2))
    return Data(x, W, U, array(4 * n), on_device(lengths.astype("int32")))


def _make(size: Size, packed: bool, gradient: bool, scale: Scale) -> Contenders:
    size = scale.pick(size, quick=Size(20, 4, 32))
    data = _data(size._replace(steps=scale.steps(size.steps)))
    return Contenders(
        loopjax=lambda: _loopjax(data, packed, gradient),
        plain=lambda: _masked(data, gradient),
    )


def _loopjax(data: Data, packed: bool, gradient: bool) -> Program:
    x, W, U, b, lengths = at.ftensor3("x"), at.fmatrix("W"), at.fmatrix("U"), at.fvector("b"), at.ivector("lengths")
    n = len(data.U)

    def one_step(x_t: Any, h_tm1: Any, c_tm1: Any) -> list[Any]:
        z = at.dot(x_t, W) + at.dot(h_tm1, U) + b
        i, f, o, g = (z[:, k * n : (k + 1) * n] for k in range(4))
        c_t = at.sigmoid(f) * c_tm1 + at.sigmoid(i) * at.tanh(g)
        return [at.sigmoid(o) * at.tanh(c_t), c_t]

    start = at.zeros((x.shape[1], n), dtype="float32")
    given = aesara.Packed(lengths) if packed else lengths
    (h, _), _ = aesara.scan(fn=one_step, sequences=x, outputs_info=[start, start], lengths=given)
    outputs = aesara.grad((h**2).sum(), [W, U, b]) if gradient else h
    return symbolic(aesara.function([x, W, U, b, lengths], outputs), *data)


def _masked(data: Data, gradient: bool) -> Program:
    n_steps = int(np.asarray(data.lengths).max())

    def network(x: Any, W: Any, U: Any, b: Any, lengths: Any) -> Any:
        def step(carry: tuple[Any, Any], at_t: tuple[Any, Any]) -> tuple[tuple[Any, Any], Any]:
            h, c = carry
            t, x_t = at_t
            i, f, o, g = jnp.split(x_t @ W + h @ U + b, 4, 1)
            c_t = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h_t = jax.nn.sigmoid(o) * jnp.tanh(c_t)
            runs = (t < lengths)[:, None]
            return (jnp.where(runs, h_t, h), jnp.where(runs, c_t, c)), jnp.where(runs, h_t, 0)

        zeros = jnp.zeros((x.shape[1], len(U)), x.dtype)
        return lax.scan(step, (zeros, zeros), (jnp.arange(n_steps), x[:n_steps]))[1]

    def cost(*args: Any) -> Any:
        return (network(*args) ** 2).sum()

    return jitted(jax.grad(cost, argnums=(1, 2, 3)) if gradient else network, *data)


def _workload(packed: bool, gradient: bool) -> Workload:
    size = Size(400, 32, 128)
    name = f"ragged{'-packed' * packed}{'-grad' * gradient}"
    what = (
        f"LSTM, {size.steps // 40} to {size.steps} steps, batch {size.batch}, {size.units} units, "
        f"{'packed, ' * packed}{'gradient' if gradient else 'forward'}"
    )
    return Workload(name, what, partial(_make, size, packed, gradient), compare=close(1e-4))


WORKLOADS = tuple(_workload(packed, gradient) for packed in (False, True) for gradient in (False, True))
