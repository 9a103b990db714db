"""Lookups in small tables as selections: the same bits for every place and mode, and which lookups are left."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from jax.extend.core import jaxpr_as_fun

import loopjax
import loopjax.tensor as at
from loopjax.lower.small_tables import LEAST_PLACES, with_selections

PLACES = np.resize(np.arange(-6, 10), (4, LEAST_PLACES))
TABLES = {
    "float32": np.array([0.5, np.nan, -np.inf, -0.0, 1e30, 2.0, 3.0], "float32"),
    "float64": np.array([0.5, np.nan, -0.0, 7.0]),
    "int32": np.arange(8, dtype="int32") - 3,
    "bool": np.array([True, False, True]),
    "one entry": np.array([2.5]),
}


def both(function: Any, *arrays: Any) -> tuple[Any, Any, bool]:
    """The results without and with selections, and whether a gather is left."""
    with jax.enable_x64(True):
        program = jax.make_jaxpr(function)(*arrays)
        new = with_selections(program)
        before, after = (np.asarray(jax.jit(jaxpr_as_fun(one))(*arrays)[0]) for one in (program, new))
    return before, after, "gather" in str(new)


@pytest.mark.parametrize("mode", ["fill", "clip", "promise_in_bounds"])
@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8"])
@pytest.mark.parametrize("table", TABLES)
def test_the_same_bits(table: str, dtype: str, mode: str) -> None:
    values = TABLES[table]
    places = PLACES % len(values) if dtype == "uint8" or mode == "promise_in_bounds" else PLACES
    before, after, gathers = both(lambda t, i: t.at[i].get(mode=mode), values, places.astype(dtype))
    assert not gathers
    assert before.tobytes() == after.tobytes()


@pytest.mark.parametrize(
    ("table", "places"),
    [
        (np.arange(9, dtype="float32"), PLACES),
        (np.arange(5.0), PLACES),
        (np.arange(8.0).reshape(4, 2), PLACES),
        (np.arange(4.0), PLACES[0, : LEAST_PLACES - 1]),
    ],
)
def test_larger_tables_rows_and_few_places_are_left(table: Any, places: Any) -> None:
    before, after, gathers = both(lambda t, i: t[i], table, places)
    assert gathers
    np.testing.assert_array_equal(before, after)


def test_slices_of_one_entry_are_left() -> None:
    slices = jax.vmap(lambda table, place: jax.lax.dynamic_slice(table, (place,), (1,)), in_axes=(None, 0))
    before, after, gathers = both(slices, np.arange(4.0), PLACES[0])
    assert gathers
    np.testing.assert_array_equal(before, after)


def test_an_automaton_gathers_nothing() -> None:
    cells, table = at.ivector(), at.ivector()
    step = lambda cells: table[4 * at.roll(cells, 1) + 2 * cells + at.roll(cells, -1)]  # noqa: E731
    last = loopjax.scan(step, outputs_info=cells, n_steps=9, return_updates=False)[-1]
    rule = np.array([110 >> i & 1 for i in range(8)], "int32")
    right = np.random.default_rng(0).integers(0, 2, 100).astype("int32")
    function = loopjax.function([cells, table], last)
    assert " gather(" not in function.compile(right, rule).as_text()
    found = function(right, rule)
    for _ in range(9):
        right = rule[4 * np.roll(right, 1) + 2 * right + np.roll(right, -1)]
    np.testing.assert_array_equal(found, right)
