"""A long elementwise loop, ``h = 0.999 * h + 0.01 * sin(h)``, of which a reduction or a part is read."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import loopjax as aesara
import loopjax.tensor as at
from benchmarks.program import Program, jitted, on_device, symbolic
from benchmarks.workload import Contenders, Workload

THIN = 10
"""Steps from one that is read to the next."""

Read = Callable[[Any], Any]


def _step(h: Any, sin: Callable[[Any], Any]) -> Any:
    return 0.999 * h + 0.01 * sin(h)


def _make(read: Read, tuned: Callable[[Any, int], Any], quick: bool) -> Contenders:
    size, steps = (2_000, 200) if quick else (20_000, 1_000)
    start = on_device(np.random.default_rng(0).normal(size=size))
    return Contenders(
        loopjax=lambda: _loopjax(start, steps, read),
        plain=lambda: _plain(start, steps, read),
        tuned=lambda: jitted(partial(tuned, steps=steps), start, wide=True),
    )


def _loopjax(start: jax.Array, steps: int, read: Read) -> Program:
    h0 = at.dvector("h0")
    out, updates = aesara.scan(fn=lambda h: _step(h, at.sin), outputs_info=h0, n_steps=steps)
    return symbolic(aesara.function([h0], read(out), updates=updates), start)


def _plain(start: jax.Array, steps: int, read: Read) -> Program:
    def run(h0: Any) -> Any:
        def step(h: Any, _: None) -> tuple[Any, Any]:
            h = _step(h, jnp.sin)
            return h, h

        return read(lax.scan(step, h0, None, length=steps)[1])

    return jitted(run, start, wide=True)


def _ran(h: Any, steps: int) -> Any:
    return lax.fori_loop(0, steps, lambda _, h: _step(h, jnp.sin), h)


def _mean(h0: Any, steps: int) -> Any:
    """The sum beside the value in the carry."""

    def step(_: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
        h = _step(carry[0], jnp.sin)
        return h, carry[1] + h

    return lax.fori_loop(0, steps, step, (h0, jnp.zeros_like(h0)))[1] / steps


def _thinned(h0: Any, steps: int) -> Any:
    """Loops of so many steps in a loop that stacks what each ends with."""

    def several(h: Any, _: None) -> tuple[Any, Any]:
        h = _ran(h, THIN)
        return h, h

    return lax.scan(several, _ran(h0, steps // 2), None, length=(steps - steps // 2) // THIN)[1]


WHAT = "1,000 elementwise steps on 20,000 values"
WORKLOADS = (
    Workload("reads-mean", f"{WHAT}, their mean", partial(_make, lambda out: out.mean(0), _mean)),
    Workload(
        "reads-thinned",
        f"{WHAT}, every 10th of the second half",
        partial(_make, lambda out: out[out.shape[0] // 2 + THIN - 1 :: THIN], _thinned),
    ),
)
