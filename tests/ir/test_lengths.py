"""Lengths: capacities, leaves, and what the host computes of them; shape operands of nodes and regions."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.errors import LengthError
from loopjax.ir.capacities import COARSE, FINE, capacity
from loopjax.ir.graph import Graph
from loopjax.ir.lengths import host_values, leaves_of, on_host, steps_of_pairs
from loopjax.ir.shape_operands import is_cut, shape_operands, stacked_until

N, X, V = at.lscalar("n"), at.dvector("x"), at.lvector("v")


@pytest.mark.parametrize(
    ("length", "fine", "coarse"),
    [
        (0, 0, 0),
        (1, 8, 16),
        (8, 8, 16),
        (9, 16, 16),
        (17, 32, 32),
        (65, 128, 256),
        (256, 256, 256),
        (257, 384, 1024),
        (385, 512, 1024),
    ],
)
def test_a_capacity_is_the_next_of_the_list(length, fine, coarse):
    assert (capacity(length, True, np), capacity(length, False, np)) == (fine, coarse)


def test_the_greatest_capacity_is_that_of_all_longer_ones():
    assert capacity(2**40, True, np) == FINE[-1] == COARSE[-1]


def test_steps_of_lanes_of_two_examples():
    """The longest goes with the shortest; the result is a multiple of a 16th of the most steps."""
    assert steps_of_pairs(np.asarray([1, 5, 3, 2]), 16, np) == 6
    assert steps_of_pairs(np.asarray([1, 9, 3]), 16, np) == 10
    assert steps_of_pairs(np.asarray([1, 5, 3, 2]), 64, np) == 8


class TestLeaves:
    def test_inputs_and_shapes(self):
        leaves = leaves_of([at.minimum(N + 1, X.shape[0]) // 2, V.max()], stop=[])
        assert leaves.values == {N, V}
        assert leaves.opaque == set()

    def test_what_a_run_computes_is_opaque(self):
        total = X.sum().astype("int64")
        leaves = leaves_of([total + N], stop=[])
        assert leaves.values == {N}
        assert len(leaves.opaque) == 1

    def test_the_shape_of_what_a_run_computes_is_not(self):
        assert leaves_of([at.sort(X).shape[0]], stop=[]).opaque == set()

    def test_they_end_where_told(self):
        inner = N * 2
        assert leaves_of([inner + 1], stop=[inner]).values == {inner}


class TestHostValues:
    def test_by_values_and_shapes(self):
        lengths = [N * 2 - 1, at.minimum(N, X.shape[0]), at.switch(N > 3, 1, 0), V[1:].sum(), abs(-N) % 3]
        values = host_values(lengths, {N: np.asarray(5), V: np.asarray([1, 2, 3])}, {X: (4,)})
        assert [int(value) for value in values] == [9, 4, 1, 5, 2]

    def test_of_shapes_of_values(self):
        assert host_values([V.shape[0]], {V: np.zeros(7, "int64")}, {}) == [7]

    def test_what_the_host_cannot_tell(self):
        assert host_values([N + 1, X.shape[0], X.sum().astype("int64")], {}, {}) == [None, None, None]

    def test_the_dtype_of_the_op(self):
        (value,) = host_values([N.astype("int8")], {N: np.asarray(300)}, {})
        assert value == 44

    def test_floats_are_not_for_the_host(self):
        assert not on_host((X * 2).owner)
        assert on_host((N * 2).owner)


class TestShapeOperands:
    def test_of_an_op(self):
        assert shape_operands(at.zeros(N).owner) == [N]
        assert shape_operands((N + 1).owner) == []

    def test_of_a_loop_and_its_body(self):
        out, _ = loopjax.scan(lambda a: a + at.alloc(a, N).sum(), X, n_steps=3)
        assert shape_operands(out.owner) == [N]
        out, _ = loopjax.scan(lambda a: a + N, X)
        assert shape_operands(out.owner) == [out.owner.inputs[0]]

    def test_a_length_of_a_step_is_an_error(self):
        out, _ = loopjax.scan(lambda k: at.zeros(k).sum(), V, name="rows")
        with pytest.raises(LengthError, match=r"^scan 'rows': the length .* differs from step to step"):
            shape_operands(out.owner)

    def test_stacks_of_until_loops(self):
        step = lambda a, h: (h + a, loopjax.until(h > 3))  # noqa: E731
        out, _ = loopjax.scan(step, X, np.float64(0))
        assert stacked_until(out.owner) == (out,)
        assert stacked_until((X * 2).owner) == ()
        assert not is_cut(out.owner)


def test_equal_lengths_have_equal_graphs():
    assert Graph((), [N * 2 + 1]) == Graph((), [N * 2 + 1])
