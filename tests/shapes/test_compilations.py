"""XLA programs that functions compile for many lengths, by JAX's own events."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from benchmarks.programs.varying_lengths import attention, minibatches, moving_quantile, noise, ragged_network
from tests.compilations import Counting

LENGTHS = (5, 6, 7, 9, 12, 16, 8)


@pytest.mark.parametrize("make", [noise, ragged_network, attention, moving_quantile, minibatches])
def test_many_lengths(make):
    """The other programs of ``benchmarks.lengths`` take longer to compile."""
    given = make()
    f = Counting(given.function())
    for k in LENGTHS:
        assert np.isfinite(f(*given.arguments(k))[0]).all()
    assert f.count <= 6
    exact = given.function("exact")
    keys = {key: key.get_value() for key in given.updates}
    found = f(*given.arguments(11))
    for key, value in keys.items():
        key.set_value(value)
    for one, other in zip(found, exact(*given.arguments(11)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_results_that_are_cut_compile_nothing(dtype):
    n, calls = at.lscalar("n"), loopjax.shared(0)
    rows = at.ones((n, 2), dtype=dtype) * at.arange(n).astype(dtype).dimshuffle(0, "x")
    f = Counting(loopjax.function([n], [rows, rows.sum(1)], updates={calls: calls + 1}))
    for k in range(1, 33):
        found = f(k)
        assert [one.shape for one in found] == [(k, 2), (k,)]
        np.testing.assert_array_equal(found[1], 2 * np.arange(k, dtype=dtype))
    assert f.count <= 5
    assert calls.get_value() == 32
