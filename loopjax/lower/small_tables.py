"""Lookups in small tables as selections, which XLA on a CPU vectorizes: ``table[i]`` of few numbers.

XLA gathers one element at a time, and LLVM then vectorizes nothing else of that kernel. A selection for each entry of
the table, ``where(i == 0, table[0], where(i == 1, table[1], ...))``, gives the same bits.

Nanoseconds an element by selections, and by a gather, jaxlib 0.10.2, one core, for tables of 2, 4 and 8 entries:

| step | 16 | 32 | 64 | 1,000 elements |
|---|---|---|---|---|
| cellular automaton, int32, 2 | 1.7, 1.9 | 0.9, 1.8 | 0.8, 1.8 | 0.6, 2.1 |
| the same, 4 | 2.5, 1.8 | 1.0, 1.4 | 0.9, 1.4 | 0.7, 1.5 |
| the same, 8 | 3.4, 1.8 | 1.4, 1.4 | 1.2, 1.4 | 0.9, 1.4 |
| ``0.5 * h + table[i]``, float32, 8 | 0.4, 1.0 | 0.4, 1.0 | 0.6, 1.0 | 0.5, 1.1 |
| the same, float64, 4 | 0.7, 1.0 | 0.7, 1.0 | 0.7, 0.9 | 0.8, 1.0 |
| the same, float64, 8 | 1.4, 1.0 | 1.3, 1.0 | 1.4, 0.9 | 1.4, 1.4 |
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax.numpy as jnp
from jax import lax

from loopjax.lower.jaxprs import inlined, replaced

MOST_ENTRIES, MOST_BYTES, LEAST_PLACES = 8, 32, 32
"""Entries and bytes of a table up to which selections are faster, and elements of the result from which they are."""

_MODES: Any = lax.GatherScatterMode


def with_selections(program: Any) -> Any:
    """Return a program in which lookups in small tables are selections; itself where it has none."""
    return replaced(program, _selections)


def _selections(equation: Any) -> list[Any] | None:
    if equation.primitive.name != "gather":
        return None
    table, places = (variable.aval for variable in equation.invars)
    collapsed = equation.params["dimension_numbers"].collapsed_slice_dims
    if table.ndim != 1 or places.size < LEAST_PLACES or equation.params["slice_sizes"] != (1,) or collapsed != (0,):
        return None
    mode, fill = equation.params["mode"], equation.params["fill_value"]
    if not 0 < table.size <= min(MOST_ENTRIES, MOST_BYTES // table.dtype.itemsize):
        return None
    if mode == _MODES.FILL_OR_DROP and fill is None:
        return None
    return inlined(partial(_selected, mode, fill), equation.invars, equation.outvars)


def _selected(mode: Any, fill: Any, table: Any, places: Any) -> Any:
    """The entries of a table at ``places``, whose last axis has one element."""
    places, last = lax.squeeze(places, (places.ndim - 1,)), len(table) - 1
    if mode == _MODES.CLIP:
        places = lax.clamp(places.dtype.type(0), places, places.dtype.type(last))
    entries = [lax.index_in_dim(table, position, keepdims=False) for position in range(last + 1)]
    first = jnp.asarray(fill, table.dtype) if mode == _MODES.FILL_OR_DROP else entries[0]
    chosen = lax.broadcast(first, places.shape)
    for position, entry in enumerate(entries):
        chosen = lax.select(places == position, lax.broadcast(entry, places.shape), chosen)
    return chosen
