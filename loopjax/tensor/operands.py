"""Conversion of an op's inputs to what its type inference expects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from loopjax.ir.graph import Constant, Variable, apply
from loopjax.ir.op import Operands, register, table_op
from loopjax.ir.types import TensorType, is_inexact
from loopjax.trace.convert import as_variable
from loopjax.trace.promotion import fold_weak, operand_dtypes


def promoted(operands: Operands, values: Sequence[Any]) -> list[Variable]:
    """Inputs as variables of dtypes that do not depend on floatX.

    Weak constants take the dtype that they meet. Integers that become floats are cast now, by ``as_float`` nodes: types
    are inferred again when a program is called, and floatX may have another value then.
    """
    inputs = fold_weak(operands, [as_variable(value) for value in values])
    dtypes = operand_dtypes(operands, [variable.type for variable in inputs])
    return [
        _as_float(variable, dtype) if _becomes_float(variable, dtype) else variable
        for variable, dtype in zip(inputs, dtypes, strict=True)
    ]


def _becomes_float(variable: Variable, dtype: str) -> bool:
    """True for an integer or boolean that the op converts to a float."""
    return variable.dtype != dtype and not variable.type.is_float and is_inexact(dtype)


def _as_float(variable: Variable, dtype: str) -> Variable:
    """An integer variable as a float; weak where it is weak."""
    if not isinstance(variable, Constant):
        return apply(table_op("as_float", dtype=dtype), variable)[0]
    number = variable.data if variable.exact is None else variable.exact
    converted = Constant(np.asarray(number).astype(jnp.dtype(dtype)), variable.name, weak=variable.type.weak)
    converted.exact = variable.exact
    return converted


def _as_float_type(type: TensorType, dtype: str) -> TensorType:
    """Keep floats: a weak state of a loop may become one when its dtype is settled."""
    return type if type.is_float else TensorType(dtype, type.shape, type.weak)


def _as_float_run(x: Any, dtype: str) -> Any:
    """Convert an integer; return a float as it is."""
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else jnp.asarray(x).astype(dtype)


register("as_float", _as_float_run, _as_float_type, "pointwise", "finite_derivative")
