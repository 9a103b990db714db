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
    "half": Op("({} // 2)", lambda x: x // 2),
    "count": Op("at.minimum(at.maximum({}, 0), 4)", _clamped),
    "cast": Op("{}.astype({parameter!r})", lambda x: x, "parameter"),
}
"""Elementwise ops; ``at.add`` and the like have no parameter."""


def _cut(x: Any, *bounds: Any) -> Any:
    return x[bounds[-1]]


def _set(x: Any, value: Any, *bounds: Any) -> Any:
    result = np.array(x)
    result[bounds[-1]] = value
    return result


def _inc(x: Any, value: Any, *bounds: Any) -> Any:
    result = np.array(x)
    result[bounds[-1]] += value
    return result


def _logsumexp(x: Any, axis: int) -> Any:
    most = x.max(axis, keepdims=True)
    return np.log(np.exp(x - most).sum(axis)) + most.squeeze(axis)


def _softmax(x: Any, _: Any) -> Any:
    if not len(x):
        return x
    found = np.exp(x - x.max(0))
    return found / found.sum(0)


VARYING: dict[str, Op] = {
    "cut": Op("{0}[{parameter}]", _cut, "first"),
    "set": Op("at.set_subtensor({0}[{parameter}], {1})", _set, "first"),
    "inc": Op("at.inc_subtensor({0}[{parameter}], {1})", _inc, "first"),
    "take": Op("{0}[{1}]", lambda x, i, _: x[int(i)], "first"),
    "above": Op("{0}[{0} > {1}]", lambda x, least, _: x[x > least], "first"),
    "zeros": Op("at.zeros({}, dtype={parameter!r})", lambda n, dtype: np.zeros(n, dtype), "parameter"),
    "ones": Op("at.ones({}, dtype={parameter!r})", lambda n, dtype: np.ones(n, dtype), "parameter"),
    "zeros2": Op("at.zeros(({}, {}), dtype={parameter!r})", lambda n, m, dtype: np.zeros((n, m), dtype), "parameter"),
    "sort": Op("at.sort({}, 0)", lambda x, _: np.sort(x, 0), "first"),
    "softmax": Op("at.softmax({}, 0)", _softmax, "float"),
    "dot": Op("at.dot({}, {})", lambda a, b, _: a @ b),
    "reduce_sum": Op("at.sum({}, {parameter})", lambda x, axis: x.sum(axis), "total"),
    "reduce_mean": Op("at.mean({}, {parameter})", lambda x, axis: x.sum(axis) / np.asarray(x.shape[axis]), "float"),
    "reduce_prod": Op("at.prod({}, {parameter})", lambda x, axis: x.prod(axis), "total"),
    "reduce_max": Op("at.max({}, {parameter})", lambda x, axis: x.max(axis), "first"),
    "reduce_min": Op("at.min({}, {parameter})", lambda x, axis: x.min(axis), "first"),
    "reduce_argmax": Op("at.argmax({}, {parameter})", lambda x, axis: x.argmax(axis), "int64"),
    "reduce_logsumexp": Op("at.logsumexp({}, {parameter})", _logsumexp, "float"),
    "reduce_any": Op("at.any({} > 0.15, {parameter})", lambda x, axis: (x > 0.15).any(axis), "bool"),
    "reduce_all": Op("at.all({} > -0.15, {parameter})", lambda x, axis: (x > -0.15).all(axis), "bool"),
}
"""Ops of programs whose sizes differ from step to step. ``run`` takes the parameter last; that of ``cut``, ``set`` and
``inc`` is an index, its bounds the numbers of arguments, as in ``{1}:{2}``."""

ORDERED = ("sort", "reduce_max", "reduce_min", "reduce_argmax")
"""Ops that choose elements by their order."""
REDUCTIONS = tuple(op for op in VARYING if op.startswith("reduce"))
EMPTY = ("reduce_max", "reduce_min", "reduce_argmax", "reduce_logsumexp")
"""Reductions that no elements have a value of."""


def index_of(text: str) -> tuple[slice, ...]:
    """The index that is written so."""
    return tuple(slice_of(part.strip()) for part in text.split(","))


def varying_dtype(op: str, dtypes: Sequence[str | int | float], parameter: Any) -> str:
    """The dtype of a result of ``VARYING``."""
    kind = VARYING[op].result
    if kind in ("int64", "bool"):
        return kind
    if kind == "parameter":
        return str(parameter)
    if kind == "common":
        return operand_dtype(dtypes)
    found = str(dtypes[0])
    if kind == "total" and RANKS[found] < 2:
        return "int64"
    return loopjax.config.floatX if kind == "float" and RANKS[found] < 2 else found


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
