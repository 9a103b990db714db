"""Names of the peers' ``sparse``, on dense arrays: XLA has no sparse ones.

A sparse input is a matrix, whose arguments may be SciPy's sparse matrices; results are dense. A matrix that is too
large to be dense does not fit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loopjax import tensor
from loopjax.compat.library import current
from loopjax.ir.graph import Variable
from loopjax.trace.convert import as_variable

_STRUCTURED = """
abs arcsin arcsinh arctan arctanh ceil deg2rad exp expm1 floor log log1p maximum minimum pow rad2deg rint sgn sigmoid
sin sinh sqr sqrt tan tanh trunc
"""


def names() -> dict[str, Any]:
    """Return the names of ``sparse``."""
    own: dict[str, Any] = {f"{kind}_matrix": _matrix for kind in ("csr", "csc", "bsr")}
    for kind in ("csr", "csc", "bsr"):
        own.update(
            {f"{kind}_{prefix}matrix": _of_dtype(dtype) for prefix, dtype in (("f", "float32"), ("d", "float64"))}
        )
    for name in ("as_sparse_variable", "as_sparse", "as_sparse_or_tensor_variable", "dense_from_sparse", "clean"):
        own[name] = _dense
    for name in ("csr_from_dense", "csc_from_dense", "remove0", "ensure_sorted_indices"):
        own[name] = _dense
    own.update(dict.fromkeys(("dot", "structured_dot", "true_dot", "usmm_dot"), tensor.dot))
    own.update(add=tensor.add, sub=tensor.sub, mul=tensor.mul, sp_sum=sp_sum, transpose=tensor.transpose)
    own.update(sp_ones_like=sp_ones_like, sp_zeros_like=tensor.zeros_like, row_scale=row_scale, col_scale=col_scale)
    own.update(diag=tensor.diag, square_diagonal=tensor.diag, hstack=_stacked(1), vstack=_stacked(0), cast=tensor.cast)
    own.update({f"structured_{name}": _structured(getattr(tensor, name)) for name in _STRUCTURED.split()})
    own.update({name: getattr(tensor, name) for name in ("gt", "ge", "lt", "le", "eq", "neq")})
    return own


def _matrix(name: str | None = None, dtype: Any = None) -> Any:
    """Return an input that takes dense and sparse matrices."""
    library = current()
    return library.type(dtype or library.floatX, (None, None))(name)


def _of_dtype(dtype: str) -> Callable[..., Any]:
    return lambda name=None: _matrix(name, dtype)


def _dense(x: Any, name: str | None = None, **options: Any) -> Variable:
    """Return a value as a variable: there is one kind of matrix."""
    return as_variable(x.toarray() if hasattr(x, "toarray") else x)


def sp_sum(x: Any, axis: Any = None, sparse_grad: bool = False) -> Variable:
    """Sum over axes."""
    return tensor.sum(x, axis)


def sp_ones_like(x: Any) -> Variable:
    """Ones where the elements are not 0."""
    return tensor.cast(tensor.neq(x, 0), as_variable(x).dtype)


def row_scale(x: Any, s: Any) -> Variable:
    """Rows multiplied by the elements of a vector."""
    return as_variable(x) * as_variable(s).dimshuffle(0, "x")


def col_scale(x: Any, s: Any) -> Variable:
    """Columns multiplied by the elements of a vector."""
    return as_variable(x) * as_variable(s).dimshuffle("x", 0)


def _stacked(axis: int) -> Callable[..., Variable]:
    def stack(blocks: Any, format: Any = None, dtype: Any = None) -> Variable:
        """Join matrices along an axis."""
        return tensor.concatenate(list(blocks), axis=axis)

    return stack


def _structured(function: Callable[..., Variable]) -> Callable[..., Variable]:
    """Return an elementwise function of the elements that are not 0."""

    def structured(x: Any, *others: Any) -> Variable:
        matrix = as_variable(x)
        return tensor.switch(tensor.neq(matrix, 0), function(matrix, *others), 0)

    return structured
