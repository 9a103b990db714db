"""The inputs of an op, promoted to where its inference needs no setting to say what dtype they meet in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from loopjax.errors import here
from loopjax.ir.graph import Constant, Variable, apply
from loopjax.ir.op import Operands, register, table_op
from loopjax.ir.types import TensorType, is_inexact
from loopjax.trace.convert import as_variable
from loopjax.trace.promotion import fold_weak, operand_dtypes


def promoted(operands: Operands, values: Sequence[Any]) -> list[Variable]:
    """The values as variables; integers that become floats are cast now.

    Types are inferred again when a program is called, and by then floatX may be another.
    """
    try:
        inputs = fold_weak(operands, [as_variable(value) for value in values])
        dtypes = operand_dtypes(operands, [variable.type for variable in inputs])
    except (TypeError, OverflowError) as error:
        raise type(error)(f"{error}{here()}") from error
    return [_as_float(one, to) if _becomes_float(one, to) else one for one, to in zip(inputs, dtypes, strict=True)]


def _becomes_float(variable: Variable, dtype: str) -> bool:
    return variable.dtype != dtype and not variable.type.is_float and is_inexact(dtype)


def _as_float(variable: Variable, dtype: str) -> Variable:
    """An integer variable as the float that it meets, weak where it is weak."""
    if not isinstance(variable, Constant):
        return apply(table_op("as_float", dtype=dtype), variable)[0]
    number = variable.data if variable.exact is None else variable.exact
    made = Constant(np.asarray(number).astype(jnp.dtype(dtype)), variable.name, weak=variable.type.weak)
    made.exact = variable.exact
    return made


def _as_float_type(type: TensorType, dtype: str) -> TensorType:
    """Leaves floats alone: a weak loop state may become one when the dtype that it takes is settled."""
    return type if type.is_float else TensorType(dtype, type.shape, type.weak)


def _as_float_run(x: Any, dtype: str) -> Any:
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else jnp.asarray(x).astype(dtype)


register("as_float", _as_float_run, _as_float_type, "pointwise")
