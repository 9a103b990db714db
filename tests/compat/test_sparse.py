"""Programs with the peers' sparse matrices, which are dense here."""

from __future__ import annotations

import numpy as np
import pytest

import loopjax.compat.theano as theano
import loopjax.compat.theano.sparse as S
import loopjax.compat.theano.tensor as T

scipy_sparse = pytest.importorskip("scipy.sparse")
COUNTS = np.array([[0.0, 2.0, 0.0], [1.0, 0.0, 3.0]])


def test_a_model_of_bags_of_words_trains_on_sparse_matrices():
    bags, w = S.csr_matrix("bags"), theano.shared(np.zeros((3, 2)), name="w")
    cost = T.sqr(S.structured_dot(bags, w) - 1).sum()
    step = theano.function([bags], cost, updates=[(w, w - 0.05 * T.grad(cost, w))])
    costs = [step(scipy_sparse.csr_matrix(COUNTS)) for _ in range(8)]
    assert costs[0] == 4
    assert costs[-1] < 0.1
    assert step(COUNTS) < costs[-1]


def test_structured_functions_keep_zeros():
    x = S.csc_matrix("x")
    outputs = [S.structured_exp(x), S.sp_ones_like(x), S.sp_sum(x, axis=0), S.row_scale(x, [1.0, 2.0])]
    found = theano.function([x], outputs)(scipy_sparse.csc_matrix(COUNTS))
    np.testing.assert_allclose(found[0], np.where(COUNTS != 0, np.exp(COUNTS), 0))
    np.testing.assert_allclose(found[1], COUNTS != 0)
    np.testing.assert_allclose(found[2], COUNTS.sum(0))
    np.testing.assert_allclose(found[3], COUNTS * [[1], [2]])
    held = theano.shared(scipy_sparse.csr_matrix(COUNTS))
    np.testing.assert_allclose(theano.function([], S.dense_from_sparse(held))(), COUNTS)
