"""Equality of variables: identity among variables, refused with numbers and arrays."""

import jax.numpy as jnp
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at

VALUES = [0, 2.5, True, 1j, np.float64(2), np.int8(1), np.zeros(2), jnp.zeros(2)]


@pytest.mark.parametrize("value", VALUES, ids=lambda v: f"{type(v).__name__}")
def test_a_number_or_an_array_is_refused(value):
    x = at.dvector("x")
    for compare, name in (
        (lambda: x == value, "eq"),
        (lambda: value == x, "eq"),
        (lambda: x != value, "neq"),
        (lambda: value != x, "neq"),
    ):
        with pytest.raises(TypeError, match=rf"write loopjax.tensor.{name}\(x, y\) \[test_methods.py:\d+\](\n|$)"):
            compare()


def test_arrays_on_the_left():
    """They leave operators to the variable."""
    x = at.dvector("x")
    for array in (np.full(2, 3.0), jnp.full(2, 3.0)):
        found = loopjax.function([x], [array * x, array - x, array < x])([1.0, 4.0])
        assert [result.tolist() for result in found] == [[3.0, 12.0], [2.0, -1.0], [False, True]]


def test_in_a_condition_of_until():
    with pytest.raises(TypeError, match="eq"):
        loopjax.scan(lambda i: (i, loopjax.until(i == 2)), sequences=at.arange(5))


def test_other_objects_compare_by_identity():
    x, y = at.dvector("x"), at.dvector("x")
    assert x == x
    assert (x != x) is False
    assert x != y
    assert (x == y) is False
    assert x != None  # noqa: E711
    assert x not in [None, "x", [1.0], y]
    assert x in (y, None, x)
    assert {x: 1, y: 2}[y] == 2
    assert len({x, y, x}) == 2
    assert hash(x) != hash(y)
