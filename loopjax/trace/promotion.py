"""Dtype promotion: JAX's lattice, with weak Python numbers (``jax.numpy.promote_types``, JEP 9407).

A weak type takes the dtype of what it meets, unless its kind is wider: ``int32 + 2`` is int32, ``int32 + 2.5`` is
floatX. Kinds are ordered boolean, integer, float, complex.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from loopjax.config import config
from loopjax.errors import coded
from loopjax.ir.graph import Constant, Variable, recorded
from loopjax.ir.op import Operands
from loopjax.ir.public_ops import ops
from loopjax.ir.types import KEY, RESIDUAL, TensorType, is_whole
from loopjax.trace.convert import as_variable, holds

_RANK = {"b": 0, "i": 1, "u": 1, "f": 2, "V": 2, "c": 3}


@cache
def _rank(dtype: str) -> int:
    """Position of a dtype's kind: 0 boolean, 1 integer, 2 float, 3 complex."""
    return 2 if dtype == "bfloat16" else _RANK[np.dtype(dtype).kind]


@cache
def _lattice(a: str, b: str) -> str:
    """Common dtype of two strong dtypes, whatever JAX's x64 flag."""
    with jax.enable_x64(True):
        return str(jnp.promote_types(a, b))


def common_dtype(types: Sequence[TensorType]) -> str:
    """Dtype of ``a + b``: the common dtype of the strong types, unless a weak one is of a wider kind."""
    return _common(tuple([(type.dtype, type.weak) for type in types]), config.floatX)


@cache
def _common(types: tuple[tuple[str, bool], ...], float_x: str) -> str:
    """`common_dtype` of pairs of a dtype and its weakness, for a value of ``config.floatX``."""
    for dtype, _ in types:
        if dtype in (KEY, RESIDUAL):
            raise coded(TypeError, "LJ510")(f"a {dtype} cannot be computed with; draw from it")
    strong = [dtype for dtype, is_weak in types if not is_weak]
    weak = max((_rank(dtype) for dtype, is_weak in types if is_weak), default=-1)
    if not strong:
        return max((dtype for dtype, _ in types), key=lambda dtype: (_rank(dtype), dtype))
    common = reduce(_lattice, strong)
    if weak <= _rank(common):
        return common
    if weak == 1:
        return "int64"
    if weak == 2:
        return float_x
    return "complex128" if common == "float64" or (_rank(common) < 2 and float_x == "float64") else "complex64"


def float_dtype(types: Sequence[TensorType]) -> str:
    """Common dtype where it is float or complex, else floatX."""
    common = common_dtype(types)
    return common if _rank(common) >= 2 else config.floatX


def operand_dtypes(operands: Operands, types: Sequence[TensorType]) -> list[str]:
    """Dtype that each input is cast to before an op with this conversion of ``operands`` runs."""
    if operands == "as is":
        return [type.dtype for type in types]
    if operands == "branches":
        return [types[0].dtype, *operand_dtypes("common", types[1:])]
    dtype = common_dtype(types) if operands == "common" else float_dtype(types)
    return [dtype] * len(types)


def fold_weak(operands: Operands, inputs: Sequence[Variable]) -> list[Variable]:
    """Inputs with constants of Python numbers replaced by constants of the dtype they meet.

    The new constant is made from the Python numbers themselves, so that no digits are lost on the way.
    """
    if operands == "as is" or not any(isinstance(variable, Constant) for variable in inputs):
        return list(inputs)
    first = 1 if operands == "branches" else 0
    if all(variable.type.weak for variable in inputs[first:]):
        return list(inputs)
    dtypes = operand_dtypes(operands, [variable.type for variable in inputs])
    folded: list[Variable] = []
    for variable, dtype in zip(inputs, dtypes, strict=True):
        if (
            isinstance(variable, Constant)
            and variable.exact is not None
            and (variable.type.weak or dtype != variable.dtype)
        ):
            exact = variable.exact
            variable = recorded(Constant)(exactly(variable, dtype), variable.name)
            variable.exact = exact
        folded.append(variable)
    return folded


def unfolded(variable: Variable) -> Variable:
    """Weak constant of the Python number that a constant was made of by `fold_weak`; any other variable as it is."""
    if not isinstance(variable, Constant) or variable.type.weak or variable.exact is None:
        return variable
    return as_variable(variable.exact, variable.name)


def settle_weak(variable: Variable, dtype: str) -> Variable:
    """Python numbers, and weak variables, cast to ``dtype`` where that is of no narrower kind; others as they are."""
    numbers = variable if isinstance(variable, Constant) and variable.exact is not None else None
    if not (numbers is not None or variable.type.weak) or not is_as_wide(dtype, variable.dtype):
        return variable
    return Constant(exactly(numbers, dtype), numbers.name) if numbers is not None else ops.cast(variable, dtype)


def is_as_wide(dtype: str, other: str) -> bool:
    """True where the kind of ``dtype`` holds the kind of ``other``: floats hold integers."""
    return _rank(dtype) >= _rank(other)


def exactly(numbers: Constant, dtype: str) -> np.ndarray[Any, np.dtype[np.generic]]:
    """Array of a constant's Python numbers as ``dtype``; raises ``OverflowError`` where one is out of its range."""
    data = np.asarray(numbers.data if numbers.exact is None else numbers.exact)
    # An integer that meets a float may be rounded, as any float is.
    if not holds(data if is_whole(dtype) or data.dtype.kind in "bc" else data.astype("float64"), dtype):
        raise coded(OverflowError, "LJ509")(f"the number {numbers.exact} does not fit into {dtype}")
    return data.astype(jnp.dtype(dtype))


def accepts_numbers(data: np.ndarray[Any, Any], dtype: str) -> bool:
    """Test if numbers without a dtype of their own keep their kind and their values in ``dtype``."""
    return is_as_wide(dtype, str(data.dtype)) and holds(data, dtype)
