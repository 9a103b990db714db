"""Rematerialization by price: a primitive is stored where recomputing it takes longer than storing it."""

import jax
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.remat import SaveExpensive


class Primitive:
    def __init__(self, name):
        self.name = name


def is_saved(name, dtype="float64", size=1000, n_steps=100, repeats=1):
    operand = jax.ShapeDtypeStruct((size,), np.dtype(dtype))
    return SaveExpensive(n_steps, repeats)(Primitive(name), operand)


@pytest.mark.parametrize("name", ["log", "log1p", "sin", "pow", "reduce_sum"])
def test_primitives_that_are_stored(name):
    assert is_saved(name)


@pytest.mark.parametrize("name", ["add", "mul", "select_n", "tanh", "div", "name", "reduce_max", "reduce_min"])
def test_primitives_that_are_recomputed(name):
    assert not is_saved(name)


def test_a_value_that_each_reader_recomputes_is_stored_earlier():
    assert is_saved("sqrt", repeats=3)
    assert not is_saved("sqrt")
    assert not is_saved("add", repeats=3)


def test_stacks_for_which_memory_is_found_again_are_expensive():
    assert is_saved("log1p", n_steps=1000)
    assert not is_saved("log1p", n_steps=2000)
    assert is_saved("sin", n_steps=2000)


def test_single_precision_has_prices_of_its_own():
    assert is_saved("erf")
    assert not is_saved("erf", "float32")


@pytest.mark.parametrize(
    ("step", "pays"),
    [
        (lambda x, h: 0.9 * h + x, False),  # no residual
        (lambda x, h: at.maximum(x, h), False),  # a mask, which is smaller than both operands
        (lambda x, h: at.maximum(at.maximum(x, h) * h, h), True),
        (lambda x, h: at.sin(h) + x, False),  # the derivative is stored in any case
    ],
)
def test_what_jax_stores_by_itself_decides(step, pays):
    x, h = at.dmatrix("x"), at.dvector("h")
    out, _ = loopjax.scan(step, sequences=x, outputs_info=h)
    f = loopjax.function([x, h], loopjax.grad(out[-1].sum(), [x, h]))
    f(np.ones((40, 200)), np.ones(200))
    assert any("not stored" in loop.plan.reason for loop in loopjax.explain(f).loops) is pays


def test_the_gradient_of_a_forward_algorithm_in_log_space_recomputes_no_exponential():
    x = at.dmatrix("x")

    def step(x, a):
        return at.logaddexp(a, at.concatenate([x[:1], a[:-1]])) + x

    def exponentials(*rewrites):
        out, _ = loopjax.scan(step, sequences=x, outputs_info=at.zeros(100, dtype="float64"))
        f = loopjax.function([x], loopjax.grad(out[-1].sum(), x), mode=loopjax.Mode().excluding(*rewrites))
        rows = np.linspace(-1.0, 1.0, 20 * 100).reshape(20, 100)
        return f(rows), f.lower(rows).as_text().count("exponential")

    found, count = exponentials()
    expected, stored = exponentials("remat")
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert count == stored


@pytest.fixture
def level_0():
    """XLA without optimizations, which rounds a product and a sum in some kernels once and in others twice."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.mark.usefixtures("level_0")
def test_a_maximum_is_equal_to_an_element_that_is_computed_again():
    x, h, b = at.dtensor3("x"), at.dmatrix("h"), at.dscalar("b")

    def step(x, h, b):
        value = b * h * x + h
        return at.sin(value) + at.log(1.1 + value.max(axis=-1, keepdims=True) ** 2) * 0.1

    out, _ = loopjax.scan(step, sequences=x, outputs_info=h, non_sequences=b)
    cost = (out[-1] ** 2).sum()
    rng = np.random.default_rng(3)
    values = rng.normal(size=(25, 4, 5)), rng.normal(size=(4, 5)), 0.7
    results = [
        loopjax.function([x, h, b], [loopjax.grad(cost, h), loopjax.grad(cost, b)], mode=mode)(*values)
        for mode in (None, "FAST_COMPILE")
    ]
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)
