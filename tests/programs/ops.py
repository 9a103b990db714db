"""The ops of random programs: how each is written, what NumPy computes for it, and the dtype of its result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import loopjax

RANKS = {"bool": 0, "int64": 1, "float32": 2, "float64": 3}
"""The dtypes of random programs. Where two meet the higher one results."""


class Op(NamedTuple):
    """``text`` is the source; ``result`` a dtype, or ``common``, ``float``, ``branches``, ``parameter``."""

    text: str
    run: Callable[..., Any]
    result: str = "common"


def _clamped(x: Any) -> Any:
    return np.minimum(np.maximum(x, 0), 4)


OPS: dict[str, Op] = {
    "add": Op("({} + {})", np.add),
    "sub": Op("({} - {})", np.subtract),
    "mul": Op("({} * {})", np.multiply),
    "neg": Op("(-{})", np.negative),
    "tanh": Op("at.tanh({})", np.tanh, "float"),
    "sin": Op("at.sin({})", np.sin, "float"),
    "maximum": Op("at.maximum({}, {})", np.maximum),
    "minimum": Op("at.minimum({}, {})", np.minimum),
    "lt": Op("({} < {})", np.less, "bool"),
    "ge": Op("({} >= {})", np.greater_equal, "bool"),
    "and": Op("at.and_({}, {})", np.logical_and, "bool"),
    "switch": Op("at.switch({}, {}, {})", np.where, "branches"),
    "count": Op("at.minimum(at.maximum({}, 0), 4)", _clamped),
    "cast": Op("{}.astype({parameter!r})", lambda x: x, "parameter"),
}
"""Elementwise ops; ``at.add`` and the like have no parameter."""

READS: dict[str, str] = {
    "last": "{}[-1]",
    "back": "{}[-{parameter}]",
    "at": "{}[{parameter}]",
    "slice": "{}[{parameter}]",
    "upto": "{}[:{}]",
    "from": "{}[{}:]",
    "mask": "{0}[{0} > {parameter}]",
    "rows": "{0}[{0}[:, 0] > {parameter}]",
    "put": "at.set_subtensor({}[{parameter}], {})",
    "join": "at.concatenate([{}, {}])",
    "outer": "({}[:, None] * {}[None, :])",
    "cumsum": "at.cumsum({}, 0)",
    "sum": "{}.sum(0)",
    "mean": "{}.mean(0)",
    "length": "{}.shape[0]",
    "arange": "at.arange({})",
    "draw": "stream.uniform(size=(4,))",
    "normal": "stream.normal({}, 0.5, size=(4,))",
}
"""The rest: reads along the first axis, a range, draws."""

DRAWS = ("draw", "normal")
PARTS = ("slice", "upto", "from", "mask", "rows")
"""Reads of some of the rows."""
MASKS = ("mask", "rows")
SLICES = (
    "1:2",
    ":-1",
    "1:",
    "-2:-1",
    "::2",
    "::-1",
    "-1:",
    "-2:",
    ":1",
    ":2",
    "2:",
    "2:1",
    "1:-1",
    "-1:1",
    "::-2",
    "1::-1",
)


def slice_of(text: str) -> slice:
    """The slice that is written so."""
    return slice(*(int(bound) if bound else None for bound in text.split(":")))


def common_dtype(dtypes: Sequence[str], numbers: Sequence[int | float]) -> str:
    """What values of these dtypes and Python numbers meet in."""
    found = max(dtypes, key=RANKS.__getitem__)
    for number in numbers:
        weak = loopjax.config.floatX if isinstance(number, float) else "int64"
        if (RANKS[found] < 2 and isinstance(number, float)) or found == "bool":
            found = weak
    return found


def result_dtype(op: str, dtypes: Sequence[str | int | float], parameter: Any = None) -> str:
    """The dtype of an elementwise op; an entry of ``dtypes`` that is a number is a weak operand."""
    kind = OPS[op].result
    if kind == "parameter":
        return str(parameter)
    if kind == "bool":
        return kind
    operands = dtypes[1:] if kind == "branches" else dtypes
    found = operand_dtype(operands)
    return loopjax.config.floatX if kind == "float" and RANKS[found] < 2 else found


def operand_dtype(operands: Sequence[str | int | float]) -> str:
    """The dtype that operands are brought to."""
    strong = [one for one in operands if isinstance(one, str)]
    return common_dtype(strong, [one for one in operands if not isinstance(one, str)])


def read_dtype(op: str, dtype: str) -> str:
    """The dtype of a read of a value of this dtype."""
    if op in ("length", "arange"):
        return "int64"
    if op in DRAWS:
        return loopjax.config.floatX
    if op == "sum" and RANKS[dtype] < 2:
        return "int64"
    if op == "mean" and RANKS[dtype] < 2:
        return loopjax.config.floatX
    return dtype
