"""Past values that are read from the stack that they are saved in, against a loop in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.ir.plan import History

RNG = np.random.default_rng(3)


def test_adjacent_taps_are_read_together():
    assert History("stack", 24, (-1, -24, -3, -2, -12)).runs == [range(-24, -23), range(-12, -11), range(-3, 0)]


@pytest.mark.parametrize(
    ("taps", "n_steps", "shape"),
    [
        (list(range(-20, 0)), 50, ()),
        ([-1, -2, -3, -4, -5, -12, -24, -25], 40, ()),
        ([-9, -8, -7], 3, (2,)),
        ([-30, -1], 40, (2,)),
    ],
)
def test_dense_and_far_taps(taps, n_steps, shape):
    x, start = (at.TensorType("float64", (None, *shape))(name) for name in ("x", "start"))

    def step(x, *past):
        new = x + sum(0.1 * np.tanh(value) * (i + 1) for i, value in enumerate(past)) / len(past)
        return new, past[0] - new

    (out, difference), _ = loopjax.scan(step, sequences=x, outputs_info=[{"initial": start, "taps": taps}, None])
    f = loopjax.function([x, start], [out, difference])
    rows, first = RNG.normal(size=(n_steps, *shape)), RNG.normal(size=(-min(taps), *shape))
    found, differences = f(rows, first)
    assert loopjax.explain(f).loops[0].plan.storage[0].kind == "stack"

    values, expected = list(first), []
    for row in rows:
        new, other = step(row, *(values[len(values) + tap] for tap in taps))
        values.append(new)
        expected.append(other)
    np.testing.assert_allclose(found, values[len(first) :], rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(differences, expected, rtol=1e-13, atol=1e-13)


def test_only_the_last_step_is_read_from_a_ring():
    x, start = at.dvector("x"), at.dvector("start")
    out, _ = loopjax.scan(lambda x, h: x + h, sequences=x, outputs_info={"initial": start, "taps": [-9]})
    f = loopjax.function([x, start], out[-1])
    assert f(np.ones(20), np.zeros(9)) == 3.0
    assert loopjax.explain(f).loops[0].plan.storage[0].kind == "ring"


@pytest.mark.parametrize(("taps", "shape"), [([-7], ()), ([-1, -2, -3, -5, -6], ()), ([-1, -2], (3,))])
def test_gradients_through_an_array_of_past_values(taps, shape):
    x, start = (at.TensorType("float64", (None, *shape))(name) for name in ("x", "start"))

    def step(x, *past):
        return x + sum(at.sin(value) * (i + 1) for i, value in enumerate(past)) / 8

    out, _ = loopjax.scan(step, sequences=x, outputs_info={"initial": start, "taps": taps})
    cost = (out**2).sum() + out[-1].sum()
    f = loopjax.function([x, start], loopjax.grad(cost, [x, start]))
    rows, first = RNG.normal(size=(12, *shape)), RNG.normal(size=(-min(taps), *shape))

    def by_hand(rows, first):
        values = list(first)
        for row in rows:
            past = (values[len(values) + tap] for tap in taps)
            values.append(row + sum(jnp.sin(value) * (i + 1) for i, value in enumerate(past)) / 8)
        return (jnp.stack(values[len(first) :]) ** 2).sum() + values[-1].sum()

    with jax.enable_x64(True):
        expected = jax.grad(by_hand, (0, 1))(rows, first)
    for found, wanted in zip(f(rows, first), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-14)
    assert loopjax.explain(f).loops[0].plan.storage[0].kind == "array"


@pytest.mark.parametrize(("values", "kind"), [(25, "stack"), (26, "ring")])
def test_a_stack_of_more_bytes_than_a_function_may_copy_is_no_history(values, kind):
    x, start = at.dmatrix("x"), at.dmatrix("start")
    out, _ = loopjax.scan(lambda x, h: x + h, sequences=x, outputs_info={"initial": start, "taps": [-9]})
    f = loopjax.function([x, start], out)
    assert np.asarray(f(np.ones((20, values)), np.zeros((9, values))))[-1].tolist() == [3.0] * values
    assert loopjax.explain(f).loops[0].plan.storage[0].kind == kind
