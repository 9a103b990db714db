"""The table of reductions: identities, and what it promises of its ops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import loopjax.tensor as at
from loopjax.ir.monoid import MONOIDS, REDUCTIONS, element, sum_dtype
from loopjax.ir.op import OP_TABLE, computed

DTYPES = ["bool", "int8", "uint16", "int64", "float16", "bfloat16", "float32", "float64"]
FOLDED = [
    (name, dtype)
    for name, monoid in MONOIDS.items()
    if monoid.combine is not None
    for dtype in (DTYPES[:1] if name in ("any", "all") else DTYPES[1:])
]


@pytest.fixture(autouse=True)
def x64():
    with jax.enable_x64(True):
        yield


def values(dtype):
    some = jnp.asarray([0, 1, 1, 0] if dtype == "bool" else [3, 0, 100, 7], dtype)
    return some if dtype == "bool" or jnp.issubdtype(dtype, jnp.unsignedinteger) else some.at[1].set(-5)


@pytest.mark.parametrize(("name", "dtype"), FOLDED)
def test_the_identity_changes_nothing(name, dtype):
    monoid, x = MONOIDS[name], values(dtype)
    neutral = jnp.asarray(element(monoid.identity, dtype), dtype)
    np.testing.assert_array_equal(computed(monoid.combine, neutral, x), x)
    np.testing.assert_array_equal(computed(monoid.combine, x, neutral), x)


@pytest.mark.parametrize("name", list(MONOIDS))
def test_rows_of_the_identity_change_no_reduction(name):
    """As padding puts them behind the rows that count."""
    dtype = "bool" if name in ("any", "all") else "float64"
    x = values(dtype)
    padded = jnp.append(x, jnp.full(3, element(MONOIDS[name].identity, dtype), dtype))
    variable = at.tensor(dtype, shape=(None,), name="x")
    arguments = getattr(at, name)(variable, axis=0).owner.op.arguments
    np.testing.assert_array_equal(computed(name, padded, **arguments), computed(name, x, **arguments))


@pytest.mark.parametrize("name", [name for name, monoid in MONOIDS.items() if monoid.reduce is not None])
def test_reduce_combines_all(name):
    monoid, x = MONOIDS[name], values("int64")
    total = jnp.asarray(element(monoid.identity, "int64"), "int64")
    for value in x:
        total = computed(monoid.combine, total, value)
    assert int(total) == int(monoid.reduce(x, axis=0))


@pytest.mark.parametrize("name", list(MONOIDS))
def test_what_needs_elements_refuses_to_reduce_nothing(name):
    empty = at.tensor("bool" if name in ("any", "all") else "float64", shape=(0,), name="x")
    if MONOIDS[name].needs_elements:
        with pytest.raises(ValueError, match="no elements"):
            getattr(at, name)(empty)
    else:
        getattr(at, name)(empty)


def test_each_is_an_op_that_reduces():
    assert all("reduce" in OP_TABLE[name].traits for name in REDUCTIONS)
    assert [name for name, monoid in MONOIDS.items() if monoid.name != name] == []


def test_halves_are_added_in_single_precision():
    assert [sum_dtype(dtype) for dtype in DTYPES[-4:]] == ["float32", "float32", "float32", "float64"]
