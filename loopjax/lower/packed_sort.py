"""Sorts of positions by 32-bit keys that XLA on a CPU does as sorts of words: key and position in one ``uint64``.

XLA sorts one array of numbers by a library's routine, and several arrays by a comparison function that it calls for
each pair (``sort_thunk.cc``). ``argsort``, a random permutation and the gradient of ``sort`` sort positions beside
their keys. Words with the key in the upper and the position in the lower bits are all different, and their order is
that of a stable sort. Time of two arrays over that of words, jaxlib 0.10.2, one core:

| 20, 1,000 rows | 50 | 1,000 | 10,000 | 1,000, 100 rows |
|---|---|---|---|---|
| 5.9 | 1.4 | 3.0 | 6.2 | 5.9 |
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from loopjax.lower.jaxprs import inlined, replaced

KEYS = frozenset({"bool", "uint8", "uint16", "uint32", "int8", "int16", "int32", "float16", "bfloat16", "float32"})
"""Dtypes of keys that fit beside a position."""


def with_packed_sorts(program: Any) -> Any:
    """Return a program that sorts words where it sorted arrays by one key; itself where it does not."""
    return replaced(program, _packed)


def _packed(equation: Any) -> list[Any] | None:
    if equation.primitive.name != "sort" or not _is_packed(equation):
        return None
    with jax.enable_x64(True):
        run = partial(_sorted, dimension=equation.params["dimension"])
        return inlined(run, equation.invars, equation.outvars)


def _is_packed(sort: Any) -> bool:
    """Test if a sort of several arrays has one key, of a dtype that fits beside a position."""
    key, *others = (variable.aval for variable in sort.invars)
    is_plain = not any(jnp.issubdtype(one.dtype, jax.dtypes.extended) for one in others)
    has_one_key = sort.params["num_keys"] == 1 and bool(others)
    return has_one_key and is_plain and key.dtype.name in KEYS and key.size > 0


def _sorted(key: Any, *others: Any, dimension: int) -> list[Any]:
    """The arrays in the order of the first, positions of equal elements ascending."""
    position = lax.broadcasted_iota("uint64", key.shape, dimension)
    words = lax.sort((_ordered(key).astype("uint64") << 32) | position, dimension=dimension, is_stable=False)
    order = words.astype("uint32").astype("int32")
    return [jnp.take_along_axis(x, order, dimension, mode="promise_in_bounds") for x in (key, *others)]


def _ordered(key: Any) -> Any:
    """Unsigned integers in the order of the key, where -0 equals 0, and NaN, whatever its bits, comes last."""
    if key.dtype == bool or jnp.issubdtype(key.dtype, jnp.unsignedinteger):
        return key.astype("uint32")
    if jnp.issubdtype(key.dtype, jnp.integer):
        return lax.bitcast_convert_type(key.astype("int32"), "uint32") ^ jnp.uint32(1 << 31)
    wide = key.astype("float32")
    wide = jnp.where(jnp.isnan(wide), jnp.float32(jnp.nan), jnp.where(wide == 0, jnp.float32(0), wide))
    bits = lax.bitcast_convert_type(wide, "int32")
    return lax.bitcast_convert_type(bits ^ ((bits >> 31) | jnp.int32(-(2**31))), "uint32")
