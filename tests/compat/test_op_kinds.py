"""Programs that walk a graph and ask for the kinds of its ops."""

from __future__ import annotations

import numpy as np
import pytest

import loopjax.compat.theano as theano
import loopjax.compat.theano.tensor as T
from loopjax.compat.theano import gof
from loopjax.errors import UnsupportedError


def inputs_below(variable):
    """The inputs of a graph, found as programs of the time do."""
    if isinstance(variable, gof.Apply):
        return {leaf for one in variable.inputs for leaf in inputs_below(one)}
    return {variable} if variable.owner is None else inputs_below(variable.owner)


def test_a_walk_over_nodes_finds_the_inputs():
    x, w = T.dmatrix("x"), theano.shared([[1.0]], name="w")
    assert {x, w} <= inputs_below(T.nnet.softmax(T.dot(x, w)))


def test_ops_count_as_the_classes_of_the_peer_that_do_their_work():
    x = T.dmatrix("x")
    kinds = {
        T.nnet.Softmax: T.nnet.softmax(x),
        T.Dot: T.dot(x, x),
        T.Elemwise: T.exp(x),
        T.DimShuffle: x.T,
        T.Subtensor: x[1:],
        T.Reshape: x.reshape((2, 3)),
    }
    for kind, variable in kinds.items():
        assert [isinstance(variable.owner.op, one) for one in kinds] == [one is kind for one in kinds]
    steps, _ = theano.scan(lambda row: row, x)
    assert isinstance(steps.owner.op, theano.scan_module.scan_op.Scan)


def test_classes_of_ops_with_a_function_make_it():
    x = T.dmatrix("x")
    outputs = [T.nlinalg.MatrixPinv()(x), T.slinalg.Cholesky(lower=False)(x), T.nnet.Softmax()(x)]
    found = theano.function([x], outputs)(np.diag([4.0, 9.0]))
    np.testing.assert_allclose(found[0], np.diag([1 / 4, 1 / 9]), atol=1e-15)
    np.testing.assert_allclose(found[1], np.diag([2.0, 3.0]))
    np.testing.assert_allclose(found[2].sum(1), [1, 1])


def test_a_class_of_ops_makes_none():
    with pytest.raises(UnsupportedError, match="CAReduce"):
        T.CAReduce()
