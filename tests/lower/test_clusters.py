"""Clusters of loops and scalars: how many functions and kernels XLA compiles, and equal values of random programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.extend.core import jaxpr_as_fun

from loopjax.lower.clusters import grouped
from loopjax.lower.small_loops import LARGEST_BYTES, _kind, outlined


def clusters_of(function: Callable[..., Any], *arrays: Any) -> list[list[str]]:
    """The primitives of each cluster."""
    groups, _ = grouped(jax.make_jaxpr(function)(*arrays).jaxpr, _kind)
    return [[one.primitive.name for one in group.equations] for group in groups if group.is_cluster]


def kernels(function: Callable[..., Any], *arrays: Any) -> int:
    """The number of kernels outside of functions that XLA compiles for the outlined program."""
    run = jax.jit(jaxpr_as_fun(outlined(jax.make_jaxpr(function)(*arrays))))
    entry = run.lower(*arrays).compile().as_text().split("ENTRY")[1]
    return sum(" fusion(" in line for line in entry.splitlines())


def loop(x: Any, *others: Any) -> Any:
    """A loop of small arrays that reads others."""
    return lax.fori_loop(0, 4, lambda _, s: jnp.tanh(s * 0.9 + sum(map(jnp.mean, others), 0.1)), x)


X = jnp.linspace(0.1, 0.9, 40)


def test_scalars_that_a_loop_reads_and_makes_are_in_its_function() -> None:
    def function(x: Any, rates: Any) -> Any:
        first, second = rates[0] * rates[1], rates[2] ** 2
        total = loop(x, first, second, rates[3])[0]
        return total * first + jnp.log(second)

    rates = jnp.linspace(0.2, 0.8, 4)
    assert kernels(function, X, rates) == 0
    np.testing.assert_allclose(
        jaxpr_as_fun(outlined(jax.make_jaxpr(function)(X, rates)))(X, rates)[0], function(X, rates), rtol=1e-6
    )


def test_each_loop_is_a_cluster_with_the_scalars_that_read_it() -> None:
    def function(x: Any, rate: Any) -> Any:
        rate = jnp.exp(rate)
        one, two = loop(x, rate), loop(x + 1, rate)
        return loop(jnp.sort(one), one[0] * 2, one[1] * two[0])

    clusters = clusters_of(function, X, 0.5)
    assert [names.count("mul") for names in clusters] == [1, 0, 0]  # one product reads two loops
    assert all("while" in names or "scan" in names for names in clusters)
    program = jaxpr_as_fun(outlined(jax.make_jaxpr(function)(X, 0.5)))
    np.testing.assert_allclose(program(X, 0.5)[0], function(X, 0.5), rtol=1e-6)


def test_effects_keep_their_order() -> None:
    seen = list[str]()

    def function(x: Any) -> Any:
        x = loop(x)
        jax.debug.callback(lambda _: seen.append("loop"), x[0], ordered=True)
        jax.debug.callback(lambda _: seen.append("start"), X[0], ordered=True)
        return loop(x)

    jax.block_until_ready(jax.jit(jaxpr_as_fun(outlined(jax.make_jaxpr(function)(X))))(X))
    jax.effects_barrier()
    assert seen == ["loop", "start"]


def test_what_stays_outside() -> None:
    def seen(x: Any) -> Any:
        jax.debug.callback(lambda _: None, x)
        return x * 2

    empty, key, large = jnp.zeros(0), jax.random.key(3), jnp.ones(LARGEST_BYTES)
    others: dict[str, Callable[[Any], Any]] = {
        "an operand without elements": lambda s: lax.cond(s > 0, lambda s, _: s * 2, lambda s, _: s + 1, s, empty),
        "a key": lambda s: jax.random.key_data(jax.random.fold_in(key, s.astype("uint32")))[0],
        "an effect": jax.jit(seen),
        "an array": jax.jit(lambda s: jnp.cumsum(jnp.arange(50.0) * s)[3]),
        "a read of a large array": lambda s: lax.dynamic_slice(large, (s.astype(int),), (1,))[0],
    }
    for what, other in others.items():
        run = jax.make_jaxpr(lambda x, other=other: loop(x, other(loop(x)[3] * 3)))(X)
        groups, _ = grouped(run.jaxpr, _kind)
        assert [group.is_cluster for group in groups].count(True) == 2, what
        expected = loop(X, other(loop(X)[3] * 3))
        np.testing.assert_allclose(jaxpr_as_fun(outlined(run))(X)[0], expected, rtol=1e-5, err_msg=what)
        names = [one.primitive.name for group in groups if group.is_cluster for one in group.equations]
        assert not {"cond", "jit", "dynamic_slice", "random_fold_in"}.intersection(names), what


def drawn(rng: np.random.Generator) -> Callable[..., Any]:
    """A random program of loops, scalars, constants and ops that stand outside."""
    choices = rng.integers(0, 7, 25), rng.integers(0, 10**6, (25, 3))

    def function(x: Any, a: Any) -> list[Any]:
        arrays, scalars = [x, jnp.ones(40)], [a, jnp.float32(0.3)]
        for kind, (i, j, k) in zip(*choices, strict=True):
            array, scalar, other = arrays[i % len(arrays)], scalars[j % len(scalars)], scalars[k % len(scalars)]
            if kind < 2:
                arrays.append(loop(array, scalar, other))
            elif kind == 2:
                arrays.append(jnp.sort(array * scalar))
            elif kind == 3:
                arrays.append(array + arrays[k % len(arrays)] * other)
            elif kind == 4:
                scalars.append(array[i % 40])
            elif kind == 5:
                scalars.append(jnp.sin(scalar) * other)
            else:
                scalars.append(lax.cond(scalar > other, lambda s: s * 0.5, jnp.cos, other))
        chosen = [*arrays[2:], *scalars[2:]]
        return chosen[:: 1 + choices[1][0, 0] % 4]

    return function


@pytest.mark.parametrize("seed", range(6))
def test_random_programs(seed: int) -> None:
    function, arguments = drawn(np.random.default_rng(seed)), (X, jnp.float32(0.7))
    program = jax.make_jaxpr(function)(*arguments)
    found = jax.jit(jaxpr_as_fun(outlined(program)))(*arguments)
    for result, expected in zip(found, function(*arguments), strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


def test_random_programs_have_several_clusters_with_scalars() -> None:
    found = [clusters_of(drawn(np.random.default_rng(seed)), X, jnp.float32(0.7)) for seed in range(12)]
    assert max(map(len, found)) >= 3
    assert max(len(cluster) for clusters in found for cluster in clusters) >= 4
