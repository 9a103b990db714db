"""Packed sorts: the order of JAX's stable sort, for each dtype of a key, and where the program stays as it is."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import loopjax
import loopjax.tensor as at
from loopjax.lower.packed_sort import KEYS, with_packed_sorts

SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, -np.nan, 1e-40, -1e-40, 0.0, np.nan]


def _keys(dtype: str, *shape: int) -> Any:
    """Keys many of which are equal."""
    rng = np.random.default_rng(0)
    if dtype.startswith(("u", "int")):
        info = np.iinfo(dtype)
        values = rng.choice([info.min, info.max, 0, 1, info.max // 2], shape)
    else:
        values = np.round(rng.normal(size=shape), 1)
        if dtype != "bool":
            values.ravel()[: len(SPECIAL)] = SPECIAL
    return jnp.asarray(values).astype(dtype)


def _packed(function: Any, *arrays: Any) -> tuple[Any, bool]:
    """The results of a program with packed sorts, and if it has any."""
    program = jax.make_jaxpr(function)(*arrays)
    packed = with_packed_sorts(program)
    return jax.jit(jax.extend.core.jaxpr_as_fun(packed))(*arrays), packed is not program


@pytest.mark.parametrize("dtype", sorted(KEYS))
@pytest.mark.parametrize(("shape", "axis"), [((60,), 0), ((2, 9, 3), 1)])
def test_all_arrays_are_in_the_order_of_a_stable_sort(dtype, shape, axis):
    key, other = _keys(dtype, *shape), jnp.arange(int(np.prod(shape)), dtype="float32").reshape(shape)
    sort = partial(lax.sort, dimension=axis, num_keys=1, is_stable=True)
    found, is_packed = _packed(lambda *arrays: sort(arrays), key, other)
    assert is_packed
    for one, expected in zip(found, sort((key, other)), strict=True):
        np.testing.assert_array_equal(np.asarray(one).view("uint8"), np.asarray(expected).view("uint8"))


def test_other_sorts_stay():
    x, keys = jnp.arange(40.0)[::-1], jax.random.split(jax.random.key(0), 40)
    with jax.enable_x64(True):
        wide = jnp.arange(40, dtype="int64")
    for function, arrays in (
        (lax.sort, (x,)),
        (lambda a, b: lax.sort((a, b), num_keys=2), (x, x)),
        (lambda a, k: lax.sort((a, k), num_keys=1), (x, keys)),
        (lambda a: lax.sort((a, a)), (wide,)),
        (lambda a: lax.sort((a, a)), (x[:0],)),
    ):
        program = jax.make_jaxpr(function)(*arrays)
        assert with_packed_sorts(program) is program


@pytest.mark.parametrize("x64", [False, True])
def test_functions_pack_their_sorts(x64):
    x, stream = at.fvector("x"), loopjax.random.RandomStream(1)
    ordered = at.sort(x)
    weights = np.arange(50, dtype="float32")
    slope = loopjax.grad((ordered * weights).sum(), x)
    f = loopjax.function([x], [at.argsort(x), slope, stream.permutation(50)])
    values = np.random.default_rng(1).permutation(50).astype("float32")
    with jax.enable_x64(x64):
        order, slopes, drawn = f(values)
        np.testing.assert_array_equal(order, np.argsort(values))
        np.testing.assert_array_equal(slopes, values)
        assert sorted(np.asarray(drawn)) == list(range(50))
        assert f.lower(values).as_text().count("stablehlo.sort") == 3
        assert "(%arg1: tensor<ui64>, %arg2: tensor<ui64>)" in f.lower(values).as_text()


def test_a_loop_draws_the_same_permutations_as_without_them():
    def orders(mode: Any) -> Any:
        stream = loopjax.random.RandomStream(7)
        drawn, updates = loopjax.scan(lambda: stream.permutation(60), n_steps=4)
        return loopjax.function([], drawn, updates=updates, mode=mode)()

    np.testing.assert_array_equal(orders(None), orders("FAST_COMPILE"))
