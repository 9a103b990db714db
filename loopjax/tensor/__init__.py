"""The names that programs import as ``at`` or ``T``: typed inputs, and ops on variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopjax import random
from loopjax.tensor import constructors
from loopjax.tensor.constructors import CONSTRUCTORS, col, matrix, row, scalar, tensor, tensor3, tensor4, vector
from loopjax.tensor.creation import (
    alloc,
    arange,
    empty,
    eye,
    fill,
    full,
    full_like,
    identity_like,
    linspace,
    ones,
    ones_like,
    zeros,
    zeros_like,
)
from loopjax.tensor.elementwise import (
    abs,
    add,
    and_,
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctan2,
    arctanh,
    cast,
    ceil,
    clip,
    cos,
    cosh,
    disconnected_grad,
    eq,
    exp,
    exp2,
    expm1,
    floor,
    floor_div,
    ge,
    gt,
    hypot,
    identity,
    invert,
    isinf,
    isnan,
    le,
    left_shift,
    log,
    log1p,
    log2,
    log10,
    logaddexp,
    lt,
    maximum,
    minimum,
    mod,
    mul,
    neg,
    neq,
    or_,
    pow,
    reciprocal,
    relu,
    right_shift,
    round,
    round_half_away_from_zero,
    sigmoid,
    sign,
    sin,
    sinh,
    softplus,
    sqr,
    sqrt,
    sub,
    switch,
    tan,
    tanh,
    true_div,
    trunc,
    where,
    xor,
    zero_grad,
)
from loopjax.tensor.indexing import inc_subtensor, set_subtensor, take
from loopjax.tensor.linalg import batched_dot, dot, matmul, outer, tensordot
from loopjax.tensor.reduction import (
    all,
    any,
    argmax,
    argmin,
    cumprod,
    cumsum,
    logsumexp,
    max,
    mean,
    min,
    norm,
    prod,
    ptp,
    std,
    sum,
    var,
)
from loopjax.tensor.shape import (
    broadcast_to,
    concatenate,
    dimshuffle,
    expand_dims,
    flatten,
    join,
    repeat,
    reshape,
    roll,
    shape,
    shape_padleft,
    shape_padright,
    squeeze,
    stack,
    swapaxes,
    transpose,
)
from loopjax.trace.convert import as_variable, constant
from loopjax.trace.grad import grad
from loopjax.trace.graph import Constant, Variable
from loopjax.trace.types import TensorType

if TYPE_CHECKING:
    from collections.abc import Callable


def as_tensor_variable(x: Any, name: str | None = None, ndim: int | None = None) -> Variable:
    """``x`` as a variable; Python numbers become int64 or floatX. ``ndim`` pads shapes with leading ones."""
    variable = x if isinstance(x, Variable) else as_variable(x, name)
    if isinstance(variable, Constant) and variable.type.weak:
        variable = constant(x, name)
    if ndim is not None and variable.ndim < ndim:
        variable = shape_padleft(variable, ndim - variable.ndim)
    return variable


as_tensor = as_tensor_variable


def __getattr__(name: str) -> Callable[..., Any]:
    """``dvector``, ``imatrix`` and the other typed constructors."""
    if name in CONSTRUCTORS:
        return CONSTRUCTORS[name]
    raise AttributeError(f"loopjax.tensor has no {name!r}")
