"""What is computed when a program is rewritten, and what is left out, to the last bit."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.ir.graph import Constant
from loopjax.rewrite.constant_folding import FoldConstants
from tests.rewrite.sized import after, lines, text

X = at.tensor("float64", shape=(3,), name="x")
N = at.tensor("int64", shape=(3,), name="n")
F = at.tensor("float32", shape=(3,), name="f")
M = at.tensor("float64", shape=(2, 3), name="m")
KEPT = object()


def folded(output, *inputs):
    return after([FoldConstants()], inputs or (X,), [output]).outputs[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("add", at.constant(2) + at.constant(3)),
        ("int8 wraps", at.constant(np.int8([100])) + at.constant(np.int8([100]))),
        ("divide", at.constant(1.0, dtype="float64") / at.constant(3.0, dtype="float64")),
        ("floor", at.constant([-7, 7]) // at.constant([2, -2])),
        ("compare", at.lt(at.constant([1.0, np.nan]), at.constant([2.0, 2.0]))),
        ("shuffle", at.constant(np.arange(6.0).reshape(2, 3)).dimshuffle(1, "x", 0)),
        ("join", at.concatenate([at.constant([1.0, 2.0]), at.constant([3])])),
        ("read", at.constant(np.arange(6.0).reshape(2, 3))[1, ::-1]),
        ("fill", at.zeros((2, 2)) + 1),
        ("cast", at.constant([1.5, -2.5]).astype("float32")),
        ("root", at.sqrt(at.constant([2.0, -1.0]))),
    ],
)
def test_constants_are_computed_as_jax_computes_them(name, value):
    found = folded(value)
    assert isinstance(found, Constant), name
    without = loopjax.function([], value, mode="FAST_COMPILE")()
    assert found.data.dtype == without.dtype
    assert found.data.tobytes() == np.asarray(without).tobytes()


def test_integers_divided_by_zero_are_left_to_xla():
    assert not isinstance(
        folded(at.constant(np.ones((1, 1, 1), int)) // at.constant(np.zeros((1, 1, 1), int))), Constant
    )


def test_large_results_are_left_to_xla():
    assert not isinstance(folded(at.zeros((1000,)) + 1), Constant)


def test_shapes_are_constants():
    graph = after([FoldConstants()], [X], [X.shape[0] * 2, X / X.shape[0]])
    assert text(graph) == lines("""
        input x : float64(3,)
        %0 = true_div(x, 3.) : float64(3,)
        return 6, %0""")


@pytest.mark.parametrize(
    ("output", "inputs", "stands"),
    [
        (X * 1, (X,), True),
        (1.0 * X, (X,), True),
        (X / 1, (X,), True),
        (X - 0.0, (X,), True),
        (X + -0.0, (X,), True),
        (X + 0.0, (X,), False),
        (X - -0.0, (X,), False),
        (N + 0, (N,), True),
        (N * 1.0, (N,), False),
        (F * at.constant(1.0, dtype="float64"), (F,), False),
        (X + at.constant(np.full((2, 3), -0.0)), (X,), False),
        (X**1, (X,), True),
        (at.neg(-X), (X,), True),
        (X.copy(), (X,), True),
        (F.astype("float64").astype("float32"), (F,), True),
        (X.astype("float32").astype("float64"), (X,), False),
        (N.astype("float64").astype("int64"), (N,), False),
        (M.T.T, (M,), True),
        (M.reshape((6,)).reshape((2, 3)), (M,), True),
        (M.dimshuffle(1, "x", 0).dimshuffle(2, 0), (M,), True),
        (M[:], (M,), True),
        (at.stack([X, X * 2])[0], (X,), True),
        (at.stack([X * 2, X])[-1], (X,), True),
        (at.stack([X * 2, X])[0], (X,), False),
    ],
)
def test_what_gives_its_input_back_is_left_out_where_no_bit_changes(output, inputs, stands):
    assert (folded(output, *inputs) is not output) or not stands
    graph = after([FoldConstants()], inputs, [output])
    assert (graph.outputs[0] is graph.inputs[0]) == stands


def test_signed_zeros_and_nan_stay():
    values = np.array([-0.0, 0.0, np.nan])
    v = at.dvector("v")
    outputs = [v - 0.0, v * 1, v + -0.0, at.neg(-v), v / 1]
    found = loopjax.function([v], outputs)(values)
    expected = [values - 0.0, values * 1, values + -0.0, values, values / 1]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(np.signbit(one)[:2], np.signbit(other)[:2])
        np.testing.assert_array_equal(one, other)


def test_pairs_in_a_body_and_in_a_region():
    v = at.dvector("v")
    out, _ = loopjax.scan(
        lambda a, h: at.neg(-(h * a)) + at.constant(2.0) * at.constant(3.0), sequences=v, outputs_info=0.0
    )
    cost = out.sum()
    f = loopjax.function([v], [cost, loopjax.grad(cost, v)])
    values = np.array([0.5, 2.0, 1.5])
    value, gradient = f(values)
    h, expected = 0.0, 0.0
    for a in values:
        h = h * a + 6
        expected += h
    np.testing.assert_allclose(value, expected)
    np.testing.assert_allclose(gradient, [0.0, 6 + 6 * 1.5, 6 * 2 + 6], rtol=1e-12)
    program = text(f.stages[-1].programs[-1].graph)
    assert "neg(" not in program
    assert "6." in program
