"""Pytrees as arguments and results of loops, functions and derivatives."""

from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.random import RandomStream

RNG = np.random.default_rng(1)
X, Y = RNG.normal(size=(5, 2)), RNG.normal(size=5)


class State(NamedTuple):
    h: Any
    count: Any


def zeros(*shape):
    return at.zeros(shape, dtype="float64")


def test_a_loop_whose_every_argument_is_a_pytree():
    x, y = at.dmatrix("x"), at.dvector("y")
    parameters = {"W": at.dmatrix("W"), "b": [at.dvector("b")]}

    def step(row, state, parameters):
        h = at.tanh(row["x"] @ parameters["W"] + parameters["b"][0] + state.h)
        return State(h, state.count + row["y"]), {"norm": (h**2).sum(), "pair": (h, row["y"])}

    (states, seen), _ = loopjax.scan(step, {"x": x, "y": y}, [State(zeros(2), zeros()), None], [parameters])
    assert isinstance(states, State)
    cost = seen["norm"].sum() + states.count[-1]
    f = loopjax.function([parameters, x, y], {"states": states, "seen": seen, "grad": loopjax.grad(cost, parameters)})
    values = {"W": RNG.normal(size=(2, 2)), "b": [RNG.normal(size=2)]}

    def plain(values, x, y):
        def body(state, row):
            h = jax.numpy.tanh(row["x"] @ values["W"] + values["b"][0] + state.h)
            after = State(h, state.count + row["y"])
            return after, (after, {"norm": (h**2).sum(), "pair": (h, row["y"])})

        _, (states, seen) = jax.lax.scan(body, State(jax.numpy.zeros(2), jax.numpy.zeros(())), {"x": x, "y": y})
        return seen["norm"].sum() + states.count[-1], (states, seen)

    with jax.enable_x64(True):
        grad, (plain_states, plain_seen) = jax.grad(plain, has_aux=True)(values, X, Y)
    for _ in range(2):  # the second call takes the fast path
        found = f(values, X, Y)
        expected = {"states": plain_states, "seen": plain_seen, "grad": grad}
        assert jax.tree.structure(found) == jax.tree.structure(expected)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), found, expected)
    np.testing.assert_allclose(f(values, y=Y, x=X)["states"].h, plain_states.h, rtol=1e-12)


def test_taps_of_pytrees():
    y = at.dvector("y")
    out, _ = loopjax.scan(
        lambda now, before, one, two: {"u": one["u"] + two["u"] + now["k"] - before["k"]},
        {"input": {"k": y}, "taps": [0, -1]},
        {"initial": {"u": at.ones(2, dtype="float64")}, "taps": [-1, -2]},
    )
    rows = [1.0, 1.0]
    for now, before in zip(Y[1:], Y[:-1], strict=True):
        rows.append(rows[-1] + rows[-2] + now - before)
    np.testing.assert_allclose(out["u"].eval({y: Y}), rows[2:])


def test_updates_until_draws_and_other_loops():
    y, stream, calls = at.dvector("y"), RandomStream(2), loopjax.shared(0, name="calls")
    out, updates = loopjax.scan(
        lambda a, s: (
            {"sum": s["sum"] + a, "draw": stream.normal(dtype="float64")},
            {calls: calls + 1},
            loopjax.until(s["sum"] > 2),
        ),
        y,
        {"sum": zeros(), "draw": zeros()},
    )
    f = loopjax.function([y], out, updates=updates)
    found = f(np.ones(8))
    np.testing.assert_array_equal(found["sum"], [1, 2, 3, 4])
    assert len(set(found["draw"].tolist())) == 4
    assert calls.get_value() == 4
    last, _ = loopjax.reduce(lambda a, s: {"sum": s["sum"] + a}, y, {"sum": zeros()})
    doubled, _ = loopjax.map(lambda a: {"twice": 2 * a}, {"input": y, "taps": [0]})
    assert float(last["sum"].eval({y: Y})) == pytest.approx(Y.sum())
    np.testing.assert_array_equal(doubled["twice"].eval({y: Y}), 2 * Y)


def test_lengths():
    x = at.dmatrix("x")
    out, _ = loopjax.scan(
        lambda row, s: [{"s": s["s"] + row["x"]}, {"twice": 2 * row["x"]}],
        {"x": x},
        [{"s": zeros(2)}, None],
        lengths=[2, 3],
    )
    found = loopjax.function([x], out)(np.ones((4, 2)))
    np.testing.assert_array_equal(found[0]["s"], [[1, 1], [2, 2], [0, 3]])
    np.testing.assert_array_equal(found[1]["twice"], [[2, 2], [2, 2], [0, 2]])


def test_to_jax_takes_and_returns_pytrees():
    x, parameters = at.fvector("x"), {"a": at.fscalar("a"), "b": (at.fscalar("b"),)}
    out, _ = loopjax.scan(lambda v, s, p: p["a"] * s + p["b"][0] * v, x, at.zeros((), dtype="float32"), [parameters])
    f = loopjax.to_jax([parameters, x], {"all": out, "more": [out[-1]]})
    values, xs = {"a": np.float32(0.5), "b": (np.float32(2.0),)}, np.arange(4, dtype="float32")
    found = jax.grad(lambda p: f(p, xs)["more"][0])(values)
    assert jax.tree.structure(found) == jax.tree.structure(values)
    assert float(found["b"][0]) == pytest.approx(float(f(values, xs)["more"][0]) / 2)


def test_registered_classes_and_results_of_functions():
    class Pair:
        def __init__(self, left, right):
            self.left, self.right = left, right

    jax.tree_util.register_pytree_node(Pair, lambda p: ((p.left, p.right), None), lambda _, leaves: Pair(*leaves))
    x = at.dvector("x")
    pairs, _ = loopjax.scan(lambda v, p: Pair(p.left + v, p.right * 2), x, Pair(zeros(), at.ones((), dtype="float64")))
    found = loopjax.function([x], [pairs, {"x": [x]}])(Y)
    np.testing.assert_allclose(found[0].left, np.cumsum(Y))
    np.testing.assert_array_equal(found[1]["x"][0], Y)


def test_errors_name_the_leaf():
    y, start = at.dvector("y"), {"u": zeros(), "v": zeros()}
    with pytest.raises(
        TypeError, match=r"scan 'f': outputs_info\[0\]\['v'\]: an array of dtype <U5 is not numeric.*\](\n|$)"
    ):
        loopjax.scan(lambda a, s: s, y, {"u": zeros(), "v": "hello"}, name="f")
    with pytest.raises(
        TypeError, match=r"output 0 of fn is {'u': \*}; expected the structure .*outputs_info\[0\], {'u"
    ):
        loopjax.scan(lambda a, s: {"u": s["u"]}, y, start)
    with pytest.raises(
        TypeError, match=r"state \"outputs_info\[0\]\['v'\]\" starts as float64\(\) but a step returns f"
    ):
        loopjax.scan(lambda a, s: {"u": s["u"], "v": s["v"].astype("float32")}, y, start)
    with pytest.raises(ValueError, match=r"sequences\[0\]\['k'\] is the scalar"):
        loopjax.scan(lambda a: a, {"k": at.dscalar("k")})
    with pytest.raises(TypeError, match=r"fn\(a\) does not take the 2 arguments"):
        loopjax.scan(lambda a: a, {"k": y}, start)
    f = loopjax.function([{"W": y, "b": [at.dscalar()]}], y, on_unused_input="ignore", name="f")
    with pytest.raises(TypeError, match=r"f: argument 0 is {'W': \*}; expected {'W': \*, 'b': \[\*\]}"):
        f({"W": Y})
    with pytest.raises(TypeError, match=r"f: input \"inputs\[0\]\['b'\]\[0\]\".*expected 0 dimensions"):
        f({"W": Y, "b": [Y]})
    with pytest.raises(TypeError, match=r"function: inputs\[0\]\['W'\]: inputs holds float 1.0"):
        loopjax.function([{"W": 1.0}], y)
