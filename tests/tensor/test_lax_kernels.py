"""Implementations in ``jax.lax`` against their namesakes in ``jax.numpy``: values, dtypes and derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from loopjax.tensor import lax_kernels

SHAPES = [((), ()), ((3,), ()), ((2, 3), (3,)), ((2, 3), (2, 1)), ((2, 1), (1, 3)), ((0, 3), (1, 3)), ((1,), (4, 2, 3))]


def array(shape, dtype="float32", start=-3):
    return (np.arange(np.prod(shape, dtype=int)).reshape(shape) + start).astype(dtype)


def assert_same(found, wanted):
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(("left", "right"), SHAPES)
def test_shapes_broadcast(left, right):
    x, y = jnp.asarray(array(left)), jnp.asarray(array(right, start=-1))
    assert_same(lax_kernels.elementwise(lax.sub)(x, y), x - y)
    assert_same(lax_kernels.comparison(lax.lt, jnp.less)(x, y), x < y)
    assert_same(lax_kernels.logical(lax.bitwise_and)(x, y), jnp.logical_and(x, y))
    assert_same(lax_kernels.where(x > y, x, y), jnp.where(x > y, x, y))
    assert_same(lax_kernels.where(jnp.asarray(True), x, y), jnp.where(True, x, y))
    assert_same(lax_kernels.clip(x, y, y + 1), jnp.clip(x, y, y + 1))
    for one, other in zip(lax_kernels.broadcast_arrays(x, y), jnp.broadcast_arrays(x, y), strict=True):
        assert_same(one, other)


def test_booleans_and_complex_numbers_have_functions_of_their_own():
    yes = jnp.array([True, False])
    assert_same(lax_kernels.elementwise(lax.add, of_bools=lax.bitwise_or)(yes, yes), yes | yes)
    z = jnp.array([1 + 2j, 1 - 2j], "complex64")
    assert_same(lax_kernels.comparison(lax.lt, jnp.less)(z, z[::-1]), jnp.less(z, z[::-1]))
    with pytest.raises(ValueError, match="cannot be clipped"):
        lax_kernels.clip(z, z, z)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "float16", "float32", "complex64"])
def test_absolute(dtype):
    x = jnp.asarray(array((4,)), dtype)
    assert_same(lax_kernels.absolute(x), jnp.abs(x))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "int32", "complex64", "bool"])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("shape", [(2, 3), (0, 3)])
def test_reductions(dtype, keepdims, shape):
    x = jnp.asarray(array(shape), dtype)
    found = lax_kernels.reduction(lax.reduce_sum, jnp.sum)(x, (1,), keepdims)
    assert_same(found, jnp.sum(x, axis=1, keepdims=keepdims))


def test_a_sum_of_halves_is_taken_in_single_precision():
    x = jnp.full(4096, 1.0, "float16")
    assert lax_kernels.reduction(lax.reduce_sum, jnp.sum)(x, (0,), False) == 4096


def test_mean_divides_by_the_elements_of_the_axes():
    x = jnp.asarray(array((2, 3, 4)))
    np.testing.assert_allclose(lax_kernels.mean(x, (0, 2)), x.mean((0, 2)))


@pytest.mark.parametrize("bounds", [(0, 5, 1), (2, 9, 3), (5, 0, -2), (3, 3, 1), (7, 2, 1)])
def test_arange(bounds):
    assert_same(lax_kernels.arange(*bounds, "int32"), jnp.arange(*bounds, dtype="int32"))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lax_kernels.relu, jax.nn.relu),
        (lambda x: lax_kernels.clip(x, jnp.float32(0), jnp.float32(1)), lambda x: jnp.clip(x, 0.0, 1.0)),
        (lax_kernels.absolute, jnp.abs),
    ],
    ids=["relu", "clip", "absolute"],
)
def test_derivatives_at_kinks(ours, theirs):
    """At a bound, at 0 and elsewhere; twice."""
    for x in (-1.5, 0.0, 0.5, 1.0, 2.0):
        assert jax.grad(ours)(x) == jax.grad(theirs)(x)
        assert jax.grad(jax.grad(ours))(x) == jax.grad(jax.grad(theirs))(x)
