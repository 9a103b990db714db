"""Forward algorithm of a hidden Markov model."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.program import jitted, on_device, unroll
from benchmarks.programs.hmm import hmm
from benchmarks.symbolic import Symbolic
from benchmarks.workload import Contenders, Scale, Workload

STATES, SYMBOLS = 32, 16


def _make(scale: Scale, gradient: bool) -> Contenders:
    rng = np.random.default_rng(0)
    start, A, B = (
        np.log(rng.dirichlet(np.ones(shape[-1]), shape[:-1]))
        for shape in ((STATES,), (STATES, STATES), (STATES, SYMBOLS))
    )
    seen = rng.integers(0, SYMBOLS, scale.steps(1_000, quick=100)).astype("int32")
    data = tuple(map(on_device, (seen, start, A, B)))
    by_hand = {name: jax.grad(f, (1, 2, 3)) if gradient else f for name, f in (("plain", _plain), ("tuned", _tuned))}
    return Contenders(
        loopjax=Symbolic(hmm, data, options={"gradient": gradient}),
        plain=lambda: jitted(by_hand["plain"], *data, wide=True),
        tuned=lambda: jitted(by_hand["tuned"], *data, wide=True),
    )


def _plain(seen: Any, start: Any, A: Any, B: Any) -> Any:
    def step(alpha: Any, symbol: Any) -> tuple[Any, None]:
        return jax.nn.logsumexp(alpha[:, None] + A, axis=0) + B[:, symbol], None

    return jax.nn.logsumexp(lax.scan(step, start + B[:, seen[0]], seen[1:])[0])


def _tuned(seen: Any, start: Any, A: Any, B: Any) -> Any:
    """Exponentials of the matrices are taken once, so that a step is one product; each step is rescaled and the
    logarithm of the scale is summed."""
    steps, chances = jnp.exp(A), jnp.exp(B).T

    def scaled(alpha: Any) -> tuple[Any, Any]:
        size = alpha.sum()
        return alpha / size, size

    def step(alpha: Any, symbol: Any) -> tuple[Any, Any]:
        return scaled((alpha @ steps) * chances[symbol])

    first, size = scaled(jnp.exp(start) * chances[seen[0]])
    sizes = lax.scan(step, first, seen[1:], unroll=unroll(4, 8))[1]
    return jnp.log(size) + jnp.log(sizes).sum()


WORKLOADS = (
    Workload("hmm", "forward pass, 32 states, T=1,000", partial(_make, gradient=False)),
    Workload("hmm-grad", "its gradient in three matrices", partial(_make, gradient=True)),
)
