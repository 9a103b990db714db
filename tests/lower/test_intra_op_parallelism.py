"""Loops that XLA computes on several threads are no functions; all others are."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from loopjax.lower import intra_op_parallelism
from loopjax.lower.intra_op_parallelism import is_split
from loopjax.lower.small_loops import outlined


@pytest.fixture(autouse=True)
def two_processors(monkeypatch: Any) -> None:
    monkeypatch.setattr(intra_op_parallelism, "processors", lambda: 2)


def chain(x: Any, times: int) -> Any:
    for _ in range(times):
        x = jnp.tanh(1.1 * x + 0.1) * 0.9
    return x


def loop_of(step: Any, shape: Any = (2000,)) -> Any:
    with jax.enable_x64(True):
        run = jax.make_jaxpr(lambda x: lax.fori_loop(0, 100, lambda _, x: step(x), x))(np.ones(shape))
    (loop,) = run.jaxpr.eqns
    return loop


@pytest.mark.parametrize(
    ("step", "shape", "expected"),
    [
        (lambda x: chain(x, 30), (2000,), True),
        (lambda x: chain(x, 30), (40, 50), True),
        (lambda x: chain(x, 3), (2000,), False),  # as many bytes as operations
        (lambda x: chain(x, 30), (200,), False),
        (lambda x: jax.jit(chain, static_argnums=1)(x, 30), (2000,), True),
        (lambda x: lax.fori_loop(0, 9, lambda _, x: chain(x, 30), x), (2000,), True),
        (lambda x: lax.cond(x[0] > 0, lambda x: chain(x, 30), lambda x: x, x), (2000,), True),
        (lambda x: jnp.stack([chain(x, 30), chain(x, 30) * x]).sum(0), (2000,), True),
        (lambda x: x * chain(x, 30).sum(), (2000,), False),  # the sum is one value
        (lambda x: x * chain(x, 30).sum(1, keepdims=True), (40, 50), True),
        (lambda x: x * chain(x[:, None] * jnp.ones((1, 2000)), 30).sum(1), (2,), False),
    ],
)
def test_which_kernels_are_split(step: Any, shape: Any, expected: bool) -> None:
    assert is_split(loop_of(step, shape)) == expected


def test_one_processor_splits_nothing(monkeypatch: Any) -> None:
    monkeypatch.setattr(intra_op_parallelism, "processors", lambda: 1)
    assert not is_split(loop_of(lambda x: chain(x, 30)))


@pytest.mark.parametrize("count", [1, 2])
def test_a_loop_that_is_split_is_no_function(monkeypatch: Any, count: int) -> None:
    monkeypatch.setattr(intra_op_parallelism, "processors", lambda: count)
    with jax.enable_x64(True):
        program = jax.make_jaxpr(lambda x: lax.fori_loop(0, 100, lambda _, x: chain(x, 30), x))(np.ones(2000))
        assert (outlined(program) is program) == (count > 1)


def test_processors_are_those_that_the_process_may_use(monkeypatch: Any) -> None:
    monkeypatch.undo()
    assert intra_op_parallelism.processors() >= 1
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 2, 5}, raising=False)
    assert intra_op_parallelism.processors() == 3
