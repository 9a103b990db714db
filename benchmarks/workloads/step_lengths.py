"""Nested loops whose inner lengths differ from step to step, against loops masked by hand.

JAX has no such lengths: by hand, an inner loop runs as many steps as the longest one and discards those past its own
length, and a slice that grows is the whole array with a mask. Where an inner loop's last state alone is read and there
is no gradient, ``fori_loop`` with a computed bound does without.
"""

# ruff: noqa: N803 - arrays have the names that the field gives them

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.program import jitted, normal, on_device, unroll
from benchmarks.programs import step_lengths
from benchmarks.symbolic import Symbolic
from benchmarks.workload import Contenders, Scale, Workload

IMPOSSIBLE = -1e9


def _double_loop(scale: Scale) -> Contenders:
    x = normal(np.random.default_rng(0), scale.steps(500, quick=30))
    return Contenders(
        loopjax=Symbolic(step_lengths.double_loop, (x,)),
        plain=lambda: jitted(_double_loop_plain, x),
        tuned=lambda: jitted(_double_loop_tuned, x),
    )


def _double_loop_plain(x: Any) -> Any:
    def outer(i: Any, x_i: Any) -> Any:
        return lax.fori_loop(0, i + 1, lambda j, s: jnp.tanh(0.5 * s + x_i * x[j]), jnp.zeros((), x.dtype))

    return lax.map(lambda given: outer(*given), (jnp.arange(len(x)), x))


def _double_loop_tuned(x: Any) -> Any:
    """All rows of the triangle at once, those that have not begun or have ended held by a mask."""
    i = jnp.arange(len(x))

    def step(s: Any, given: tuple[Any, Any]) -> tuple[Any, None]:
        j, x_j = given
        return jnp.where(j <= i, jnp.tanh(0.5 * s + x * x_j), s), None

    return lax.scan(step, jnp.zeros_like(x), (i, x), unroll=unroll(1, 8))[0]


def _attention(scale: Scale) -> Contenders:
    array = partial(normal, np.random.default_rng(0))
    units = 32
    data = (array(scale.steps(500, quick=30), units), array(units, units, scale=0.5 / units**0.5))
    return Contenders(
        loopjax=Symbolic(step_lengths.attention, data),
        plain=lambda: jitted(_attention_masked, *data),
    )


def _attention_masked(tape: Any, W: Any) -> Any:
    positions = jnp.arange(len(tape))

    def step(h: Any, t: Any) -> tuple[Any, Any]:
        weights = jax.nn.softmax(jnp.where(positions <= t, tape @ h, -jnp.inf))
        h = jnp.tanh(weights @ tape + h @ W)
        return h, h

    return lax.scan(step, jnp.zeros_like(tape[0]), positions)[1]


def _alignment(scale: Scale) -> Contenders:
    rng = np.random.default_rng(0)
    pairs, n_labels = scale.pick((64, 40), quick=(4, 5))
    n_frames = scale.steps(200, quick=12)
    frames = rng.integers(n_frames // 2, n_frames + 1, pairs).astype("int32")
    labels = rng.integers(n_labels // 2, n_labels + 1, pairs).astype("int32")
    data = (normal(rng, pairs, n_frames, n_labels), on_device(frames), on_device(labels))
    return Contenders(
        loopjax=Symbolic(step_lengths.alignment, data),
        plain=lambda: jitted(jax.value_and_grad(_alignment_plain), *data),
        tuned=lambda: jitted(jax.value_and_grad(_alignment_tuned), *data),
    )


def _alignment_plain(scores: Any, frames: Any, labels: Any) -> Any:
    """One pair at a time, under ``vmap``."""

    def pair(score: Any, n_frames: Any, n_labels: Any) -> Any:
        start = jnp.full(score.shape[1], IMPOSSIBLE, score.dtype).at[0].set(score[0, 0])

        def frame(alpha: Any, given: tuple[Any, Any]) -> tuple[Any, None]:
            t, row = given
            before = jnp.full_like(alpha, IMPOSSIBLE).at[1:].set(alpha[:-1])
            return jnp.where(t < n_frames, jnp.logaddexp(alpha, before) + row, alpha), None

        alpha = lax.scan(frame, start, (jnp.arange(1, len(score)), score[1:]))[0]
        return alpha[n_labels - 1]

    return jax.vmap(pair)(scores, frames, labels).sum()


def _alignment_tuned(scores: Any, frames: Any, labels: Any) -> Any:
    """All pairs at once, frames first."""
    rows = jnp.moveaxis(scores, 1, 0)
    start = jnp.full_like(rows[0], IMPOSSIBLE).at[:, 0].set(rows[0, :, 0])
    edge = jnp.full((scores.shape[0], 1), IMPOSSIBLE, scores.dtype)

    def frame(alpha: Any, given: tuple[Any, Any]) -> tuple[Any, None]:
        t, row = given
        before = jnp.concatenate([edge, alpha[:, :-1]], 1)
        return jnp.where((t < frames)[:, None], jnp.logaddexp(alpha, before) + row, alpha), None

    alpha = lax.scan(frame, start, (jnp.arange(1, len(rows)), rows[1:]), unroll=unroll(1, 4))[0]
    return jnp.take_along_axis(alpha, labels[:, None] - 1, 1).sum()


def _newton(scale: Scale) -> Contenders:
    rng = np.random.default_rng(0)
    steps = scale.steps(2_000, quick=50)
    a = on_device(rng.uniform(1, 5, (steps, 16)).astype("float32"))
    data = (a, on_device(rng.integers(1, 21, steps).astype("int32")))
    return Contenders(
        loopjax=Symbolic(step_lengths.newton, data),
        plain=lambda: jitted(_newton_masked, *data),
        tuned=lambda: jitted(_newton_counted, *data),
    )


def _improved(v: Any, a_t: Any) -> Any:
    return v - (v**3 - a_t) / (3 * v**2)


def _newton_masked(a: Any, k: Any) -> Any:
    def step(v: Any, given: tuple[Any, Any]) -> tuple[Any, Any]:
        a_t, k_t = given
        v = lax.fori_loop(0, 20, lambda i, v: jnp.where(i < k_t, _improved(v, a_t), v), v)
        return v, v

    return lax.scan(step, jnp.ones_like(a[0]), (a, k))[1]


def _newton_counted(a: Any, k: Any) -> Any:
    """As many iterations as are asked for."""

    def step(v: Any, given: tuple[Any, Any]) -> tuple[Any, Any]:
        a_t, k_t = given
        v = lax.fori_loop(0, k_t, lambda i, v: _improved(v, a_t), v)
        return v, v

    return lax.scan(step, jnp.ones_like(a[0]), (a, k))[1]


def _minibatches(scale: Scale) -> Contenders:
    array = partial(normal, np.random.default_rng(0))
    batch, n, units = 32, 64, 64
    rows = batch * scale.steps(200, quick=4)
    data = (array(rows, n), array(rows), array(n, units, scale=1 / n**0.5), array(units, scale=1 / units**0.5))
    return Contenders(
        loopjax=Symbolic(step_lengths.minibatches, data, options={"batch": batch}),
        plain=lambda: jitted(partial(_with_gradients, partial(_sliced, batch)), *data),
        tuned=lambda: jitted(partial(_with_gradients, partial(_all_rows, batch)), *data),
    )


def _with_gradients(cost: Any, *data: Any) -> list[Any]:
    value, gradients = jax.value_and_grad(cost, argnums=(2, 3))(*data)
    return [value, *gradients]


def _sliced(batch: int, D: Any, target: Any, W: Any, v: Any) -> Any:
    def loss(k: Any) -> Any:
        rows = lax.dynamic_slice_in_dim(D, k * batch, batch)
        wanted = lax.dynamic_slice_in_dim(target, k * batch, batch)
        return ((jnp.tanh(rows @ W) @ v - wanted) ** 2).mean()

    return lax.map(loss, jnp.arange(len(D) // batch)).sum()


def _all_rows(batch: int, D: Any, target: Any, W: Any, v: Any) -> Any:
    """No step needs another one, and all have one size: the minibatches are one batch."""
    return ((jnp.tanh(D @ W) @ v - target) ** 2).sum() / batch


WORKLOADS = tuple(
    Workload(name, what, make, compare=close(1e-4), grows_to=grows_to)
    for name, what, make, grows_to in (
        ("double-loop", "loop over x[:i + 1] in each of 500 steps", _double_loop, 2_000),
        ("attention", "attention to tape[:t + 1], T=500, 32 values", _attention, 5_000),
        ("alignment", "64 ragged pairs, at most 200 frames and 40 labels, with gradient", _alignment, 2_000),
        ("newton", "1 to 20 Newton iterations in each of 2,000 steps, 16 values", _newton, 100_000),
        ("minibatches", "loss over D[k b : (k + 1) b], 200 minibatches of 32, with gradients", _minibatches, 10_000),
    )
)
