"""Array indices pass a check."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.check_indices import CheckIndices
from tests.rewrite.sized import after, lines, scans, text

X = at.tensor("float64", shape=(5, 4), name="x")
I = at.tensor("int64", shape=(3,), name="i")  # noqa: E741
J = at.tensor("int64", name="j")


def test_before_and_after():
    outputs = [X[I], X[1], at.set_subtensor(X[0, J], 1.0), X[np.array([0, 2])]]
    found = text(after([CheckIndices()], [X, I, J], outputs))
    line = found[found.index("[test_check") : found.index("], size")] + "]"
    assert found.replace(line, "[line]") == lines("""
        input x : float64(5, 4)
        input i : int64(3,)
        input j : int64()
        %0 = in_bounds[place= [line], size=5](i) : int64(3,)
        %1 = index[%0, :](x, %0) : float64(3, 4)
        %2 = index[1, :](x) : float64(4,)
        %3 = in_bounds[place= [line], size=4](j) : int64()
        %4 = set[0, %3](x, 1., %3) : float64(5, 4)
        %5 = index[int64[0, 2], :](x, int64[0, 2]) : float64(2, 4)
        return %1, %2, %4, %5""")


def test_in_bodies():
    out, _ = loopjax.scan(lambda i: X[i].sum(), sequences=I)
    (loop,) = scans(after([CheckIndices()], [X, I], [out]))
    assert [node.op.name for node in loop.body.applies][:2] == ["in_bounds", "index"]


@pytest.mark.parametrize(("bad", "fails"), [(4, False), (5, True), (-5, False), (-6, True)])
def test_the_check_raises(bad, fails):
    f = loopjax.function([X, J], X[J], check="index")
    value = np.zeros((5, 4))
    if not fails:
        assert f(value, bad).shape == (4,)
        return
    with pytest.raises(IndexError, match="test_check_indices"):
        f(value, bad)
