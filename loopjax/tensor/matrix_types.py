"""Types of ops on matrices: their dtype, and the sizes of the last two axes."""

from __future__ import annotations

from loopjax.errors import coded
from loopjax.ir.types import TensorType, merge_dims
from loopjax.trace.promotion import float_dtype

_HALF = ("float16", "bfloat16")


def solvable_dtype(*types: TensorType) -> str:
    """Common float or complex dtype of matrices that are factored; raises ``TypeError`` for one of 16 bits."""
    dtype = float_dtype(types)
    if dtype in _HALF:
        raise coded(TypeError, "LJ510")(f"expected matrices of 32 or 64 bits, got {dtype}; write .astype('float32')")
    return dtype


def rows_and_columns(type: TensorType) -> tuple[int | None, int | None]:
    """Sizes of the last two axes; raises ``ValueError`` where there are no two."""
    if type.ndim < 2:
        raise coded(ValueError, "LJ507")(f"matrices are expected, got an array of shape {type.shape}; reshape it")
    return type.shape[-2], type.shape[-1]


def side(type: TensorType) -> int | None:
    """Number of rows of square matrices; raises ``ValueError`` for others."""
    rows, columns = rows_and_columns(type)
    try:
        return merge_dims(rows, columns)
    except ValueError as error:
        raise coded(ValueError, "LJ507")(
            f"square matrices are expected, got an array of shape {type.shape}; reshape it"
        ) from error


def shorter(rows: int | None, columns: int | None) -> int | None:
    """Number of singular values."""
    return None if rows is None or columns is None else min(rows, columns)
