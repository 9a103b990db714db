"""Loop with a read of one step, some steps or a reduction over all steps: other steps need not be stored."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.program import Program, jitted, normal, on_device, unroll
from benchmarks.programs.reads import READ, SLICE, STEP, STRIDE, reads
from benchmarks.symbolic import Symbolic
from benchmarks.workload import Contenders, Scale, Workload

UNITS = 64
WHAT = {
    "read-step": f"step {STEP} alone",
    "read-slice": f"steps {SLICE.start:,} to {SLICE.stop:,}",
    "read-stride": f"every {STRIDE}th step",
    "reduce-sum": "the sum over steps",
    "reduce-logsumexp": "logsumexp over steps",
    "reduce-argmax": "argmax over steps",
    "reduce-dot": "a weighted sum over steps",
}


class Data(NamedTuple):
    """``a (units,)``, ``u (T, units)``, ``weights (T,)``, float32."""

    a: Any
    u: Any
    weights: Any


def _make(what: str, scale: Scale) -> Contenders:
    # At least the steps that are read, rounded to a multiple of the stride.
    steps = max(scale.steps(20_000, quick=2_000), SLICE.stop if what == "read-slice" else 2 * STEP)
    rng = np.random.default_rng(0)
    data = Data(
        on_device(rng.uniform(0.1, 0.9, UNITS).astype("float32")), normal(rng, steps, UNITS), normal(rng, steps)
    )
    return Contenders(
        loopjax=Symbolic(reads, data, options={"what": what}),
        plain=lambda: _plain(what, data),
        tuned=lambda: jitted(TUNED[what], *data),
    )


def _plain(what: str, data: Data) -> Program:
    read: Callable[..., Any] = READ[what]

    def network(*arrays: Any) -> Any:
        d = Data(*arrays)

        def step(h: Any, u_t: Any) -> tuple[Any, Any]:
            h = jnp.tanh(d.a * h + u_t)
            return h, h

        return read(_Words, lax.scan(step, jnp.zeros_like(d.a), d.u)[1], d.weights)

    return jitted(network, *data, wide=what == "reduce-argmax")


class _Words:
    """The names of a tensor module that ``READ`` uses, in JAX."""

    logsumexp, argmax, dot = staticmethod(jax.nn.logsumexp), staticmethod(jnp.argmax), staticmethod(jnp.dot)


def _after(a: Any, h: Any, u: Any) -> Any:
    """State ``h`` after the steps of ``u``."""
    return lax.scan(lambda h, u_t: (jnp.tanh(a * h + u_t), None), h, u, unroll=unroll(4, 64))[0]


def _step(a: Any, u: Any, weights: Any) -> Any:
    """Later steps are not run."""
    return _after(a, jnp.zeros_like(a), u[: STEP + 1])


def _slice(a: Any, u: Any, weights: Any) -> Any:
    """Earlier steps are not stored, later steps not run."""

    def step(h: Any, u_t: Any) -> tuple[Any, Any]:
        h = jnp.tanh(a * h + u_t)
        return h, h

    return lax.scan(step, _after(a, jnp.zeros_like(a), u[: SLICE.start]), u[SLICE], unroll=unroll(4, 16))[1]


def _stride(a: Any, u: Any, weights: Any) -> Any:
    """Loop over blocks that stores the first step of each."""

    def block(h: Any, u: Any) -> tuple[Any, Any]:
        first = jnp.tanh(a * h + u[0])
        return _after(a, first, u[1:]), first

    return lax.scan(block, jnp.zeros_like(a), u.reshape(-1, STRIDE, UNITS))[1]


def _reduced(
    start: Callable[[Any], Any], add: Callable[..., Any], last: Callable[[Any], Any] = lambda total: total
) -> Any:
    """Reduction in the carry: starts from ``start(a)`` and applies ``add(total, h, weight, t)`` at every step."""

    def reduced(a: Any, u: Any, weights: Any) -> Any:
        def step(carry: Any, inputs: Any) -> tuple[Any, None]:
            (h, t, total), (u_t, weight) = carry, inputs
            h = jnp.tanh(a * h + u_t)
            return (h, t + 1, add(total, h, weight, t)), None

        carry = (jnp.zeros_like(a), jnp.zeros((), "int32"), start(a))
        (_, _, total), _ = lax.scan(step, carry, (u, weights), unroll=unroll(4, 32))
        return last(total)

    return reduced


def _first_largest(total: tuple[Any, Any], h: Any, weight: Any, t: Any) -> tuple[Any, Any]:
    most, where = total
    return jnp.maximum(most, h), jnp.where(h > most, t, where)


TUNED: dict[str, Callable[..., Any]] = {
    "read-step": _step,
    "read-slice": _slice,
    "read-stride": _stride,
    "reduce-sum": _reduced(jnp.zeros_like, lambda total, h, weight, t: total + h),
    # The states are at most 1, so that no running maximum is needed.
    "reduce-logsumexp": _reduced(jnp.zeros_like, lambda total, h, weight, t: total + jnp.exp(h), jnp.log),
    "reduce-argmax": _reduced(
        lambda a: (jnp.full_like(a, -jnp.inf), jnp.zeros(a.shape, "int32")),
        _first_largest,
        lambda total: total[1],
    ),
    "reduce-dot": _reduced(jnp.zeros_like, lambda total, h, weight, t: total + weight * h),
}


def _same_places(result: Any, expected: Any) -> None:
    """Compare integers of any width."""
    np.testing.assert_array_equal(np.asarray(jax.tree.leaves(result)[0]), np.asarray(expected))


WORKLOADS = tuple(
    Workload(
        name,
        f"{text} of 20,000, 64 values",
        partial(_make, name),
        compare=_same_places if name == "reduce-argmax" else close(1e-4),
        # Reads of few steps do not depend on the total number of steps.
        grows_to=0 if name in ("read-step", "read-slice") else 1_000_000,
    )
    for name, text in WHAT.items()
)
