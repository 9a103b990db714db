"""Shapes and sizes as users write them."""

import numpy as np
import pytest

import loopjax.tensor as at
from loopjax.tensor.lengths import size_list, split_sizes


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [(3, [3]), ((2, 3), [2, 3]), ([2], [2]), (np.array([4, 5]), [4, 5]), (np.array(6), [6]), ((), [])],
)
def test_numbers(shape, sizes):
    assert size_list(shape) == sizes
    assert size_list(at.constant(np.asarray(shape, "int64"))) == sizes


def test_variables():
    n, sizes = at.lscalar("n"), at.tensor("int64", (2,), "sizes")
    assert size_list(n) == [n]
    assert size_list((n, 3)) == [n, 3]
    assert [size.type.shape for size in size_list(sizes)] == [(), ()]
    assert len(size_list(at.lvector(), count=3)) == 3


@pytest.mark.parametrize("shape", [at.lvector(), at.lmatrix()])
def test_a_vector_needs_a_known_size(shape):
    with pytest.raises(ValueError, match=r"shape is a vector of known size.*\[test_lengths\.py:\d+\](\n|$)"):
        at.zeros(shape)


def test_symbolic_sizes_leave_holes():
    n, m = at.lscalar("n"), at.iscalar("m")
    static, symbolic = split_sizes([2, n, at.constant(4), m], "shape")
    assert static == (2, None, 4, None)
    assert symbolic == [n, m]


@pytest.mark.parametrize("size", [1.5, at.dscalar(), at.lvector(), "3"])
def test_other_sizes_are_refused(size):
    with pytest.raises(TypeError):
        split_sizes([size], "shape")
