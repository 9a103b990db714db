"""Which dtype values of different dtypes meet in: JAX's lattice, with weak Python numbers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from loopjax.config import config
from loopjax.ir.graph import Constant, Variable
from loopjax.ir.op import Operands
from loopjax.ir.public_ops import ops
from loopjax.ir.types import KEY, RESIDUAL, TensorType, is_whole
from loopjax.trace.convert import as_variable

_RANK = {"b": 0, "i": 1, "u": 1, "f": 2, "V": 2, "c": 3}


@cache
def _rank(dtype: str) -> int:
    return 2 if dtype == "bfloat16" else _RANK[np.dtype(dtype).kind]


@cache
def _lattice(a: str, b: str) -> str:
    with jax.enable_x64(True):
        return str(jnp.promote_types(a, b))


def common_dtype(types: Sequence[TensorType]) -> str:
    """The dtype of ``a + b``: that of the strong types, unless a weak one is of a wider kind."""
    return _common(tuple([(type.dtype, type.weak) for type in types]), config.floatX)


@cache
def _common(types: tuple[tuple[str, bool], ...], float_x: str) -> str:
    """The common dtype of these dtypes, each weak or not, for a ``config.floatX``."""
    for dtype, _ in types:
        if dtype in (KEY, RESIDUAL):
            raise TypeError(f"a {dtype} cannot be computed with; draw from it")
    strong = [dtype for dtype, is_weak in types if not is_weak]
    weak = max((_rank(dtype) for dtype, is_weak in types if is_weak), default=-1)
    if not strong:
        return max((dtype for dtype, _ in types), key=lambda dtype: (_rank(dtype), dtype))
    found = strong[0]
    for dtype in strong[1:]:
        found = _lattice(found, dtype)
    if weak <= _rank(found):
        return found
    if weak == 1:
        return "int64"
    if weak == 2:
        return float_x
    return "complex128" if found == "float64" or (_rank(found) < 2 and float_x == "float64") else "complex64"


def float_dtype(types: Sequence[TensorType]) -> str:
    """The common dtype where it is inexact, else floatX."""
    found = common_dtype(types)
    return found if _rank(found) >= 2 else config.floatX


def operand_dtypes(operands: Operands, types: Sequence[TensorType]) -> list[str]:
    """The dtype that each input is cast to before an op with these ``operands`` runs."""
    if operands == "as is":
        return [type.dtype for type in types]
    if operands == "branches":
        return [types[0].dtype, *operand_dtypes("common", types[1:])]
    found = common_dtype(types) if operands == "common" else float_dtype(types)
    return [found] * len(types)


def fold_weak(operands: Operands, inputs: Sequence[Variable]) -> list[Variable]:
    """The inputs with weak constants made constants of the dtype they meet, from the Python number itself."""
    if operands == "as is" or not any(isinstance(variable, Constant) for variable in inputs):
        return list(inputs)
    first = 1 if operands == "branches" else 0
    if all(variable.type.weak for variable in inputs[first:]):
        return list(inputs)
    dtypes = operand_dtypes(operands, [variable.type for variable in inputs])
    folded: list[Variable] = []
    for variable, dtype in zip(inputs, dtypes, strict=True):
        if isinstance(variable, Constant) and variable.type.weak:
            exact = variable.exact
            variable = Constant(exactly(variable, dtype), variable.name)
            variable.exact = exact
        folded.append(variable)
    return folded


def unfolded(variable: Variable) -> Variable:
    """A constant that ``fold_weak`` made as the Python number that it was made of; any other as it is."""
    if not isinstance(variable, Constant) or variable.type.weak or variable.exact is None:
        return variable
    return as_variable(variable.exact, variable.name)


def settle_weak(variable: Variable, dtype: str) -> Variable:
    """A weak variable as ``dtype`` where that is wide enough in kind; any other as it is."""
    if not variable.type.weak or not is_as_wide(dtype, variable.dtype):
        return variable
    settled: Variable = ops.cast(variable, dtype)
    return settled


def is_as_wide(dtype: str, other: str) -> bool:
    """Whether the kind of ``dtype`` holds the kind of ``other``: floats hold integers."""
    return _rank(dtype) >= _rank(other)


def exactly(number: Constant, dtype: str) -> np.ndarray[tuple[()], np.dtype[np.generic]]:
    """A number as ``dtype``, from the Python number that it was made of; raises ``OverflowError``."""
    value = number.exact if number.exact is not None else number.data
    if is_whole(dtype):
        info = np.iinfo(dtype)
        if not info.min <= int(value) <= info.max:
            raise OverflowError(f"the number {value} does not fit into {dtype}")
    return np.asarray(value).astype(dtype)
