"""Index patterns: parsing, and the questions that rewrites ask of them."""

import pickle

import numpy as np
import pytest

import loopjax.tensor as at
from loopjax.ir.digest import digest
from loopjax.ir.index import WHOLE, Array, IndexPattern, Slice, index_inputs, index_op, static_read
from loopjax.trace.convert import constant

X = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)

KEYS = {
    "one row": (1,),
    "slices": (slice(None, None, -1), slice(1, None), slice(0, 4, 2)),
    "new axes": (None, 0, None, slice(None, 2)),
    "arrays side by side": (slice(None), np.array([[0, 2], [1, 1]]), np.array([3, 0]), None),
    "arrays apart": (np.array([0, 1, 1]), slice(None), 2),
    "arrays apart by a new axis": (slice(None), np.array([0, 1]), None, np.array([3, 0])),
    "an array and an integer": (None, slice(None), 1, np.array([3, 0])),
}


def parsed(key):
    arrays = [entry for entry in key if isinstance(entry, np.ndarray)]
    pattern, lengths = IndexPattern.parse([Array() if isinstance(e, np.ndarray) else e for e in key], X.ndim)
    missing = X.ndim - len(pattern.axis_positions)
    return IndexPattern((*pattern.entries, *[WHOLE] * missing)), lengths, arrays


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_a_parsed_key_gives_the_key_back(key):
    pattern, lengths, arrays = parsed(key)
    assert np.array_equal(X[pattern.key(lengths, arrays)], X[key])
    assert pattern.key(lengths, arrays)[: len(key)] == key


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_axes_of_the_result(key):
    pattern, lengths, arrays = parsed(key)
    sizes = [len(pattern.rows(axis, lengths, size) or ()) for axis, size in enumerate(X.shape)]
    shape = [1 if axis is None else sizes[axis] for axis in pattern.kept_axes]
    if arrays:
        shape[pattern.array_position : pattern.array_position] = np.broadcast_shapes(*(one.shape for one in arrays))
    assert tuple(shape) == X[key].shape


def test_entries_are_counted_by_axis():
    pattern, _ = IndexPattern.parse([None, 3, Array(), slice(2), Array()])
    assert pattern.axis_positions == (1, 2, 3, 4)
    assert pattern.axis_entries == (3, Array(), Slice(stop=0), Array())
    assert pattern.array_axes == (1, 3)


def test_bounds_of_slices_are_numbered_in_order():
    pattern, lengths = IndexPattern.parse([slice(7, None, 2), slice(None), slice(None, 9)], ndim=4)
    assert pattern.entries == (Slice(start=0, step=1), WHOLE, Slice(stop=2), WHOLE)
    assert lengths == (7, 2, 9)


def test_rows_along_an_axis():
    pattern, lengths = IndexPattern.parse([-1, slice(None, None, -2), Array(), 7])
    assert pattern.rows(0, lengths, 5) == range(4, 5)
    assert list(pattern.rows(1, lengths, 5)) == [4, 2, 0]
    assert pattern.rows(2, lengths, 5) is None
    assert pattern.rows(3, lengths, 5) is None


def test_rows_at_the_ends_of_an_axis():
    first, past, before = (IndexPattern((position,)).rows(0, (), 5) for position in (-5, 5, -6))
    assert first == range(1)
    assert past is None
    assert before is None


def test_picked_is_a_position_beside_whole_axes():
    assert IndexPattern.parse([WHOLE, -2, WHOLE])[0].picked(1) == -2
    assert IndexPattern.parse([WHOLE, -2, WHOLE])[0].picked(0) is None
    assert IndexPattern.parse([slice(1), -2])[0].picked(1) is None
    assert IndexPattern.parse([-2, slice(1)])[0].picked(0) is None
    assert IndexPattern.parse([None, -2])[0].picked(1) is None
    assert IndexPattern.parse([3])[0].picked(2) is None


def test_is_whole():
    assert IndexPattern.parse([], ndim=2)[0].is_whole
    assert not IndexPattern.parse([None], ndim=2)[0].is_whole
    assert not IndexPattern.parse([slice(0, None)])[0].is_whole


def test_patterns_are_values():
    one, same, other = (index_op([0, slice(1, stop)], 3) for stop in (4, 4, None))
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert digest(one.params) == digest(same.params) != digest(other.params)
    loaded = pickle.loads(pickle.dumps(one))
    assert loaded == one
    assert IndexPattern((0,)) != IndexPattern((Array(0),))


def test_static_read_fills_the_axes_left_out():
    assert np.array_equal(static_read(constant(X), slice(None), -1).eval(), X[:, -1])


def test_index_inputs_of_reads_and_writes():
    x, i = at.dtensor3("x"), at.lscalar("i")
    part = x[None, 0, :, i]
    assert index_inputs(part.owner) == [(1, 2)]
    assert index_inputs(at.set_subtensor(part, 1.0).owner) == [(2, 2)]
    assert index_inputs((x + 1).owner) == []
