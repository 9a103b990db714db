"""Elementwise ops: one value out for one value in, inputs broadcast and brought to one dtype."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from loopjax.trace.convert import as_variable
from loopjax.trace.graph import Constant, Variable, apply
from loopjax.trace.methods import word
from loopjax.trace.op import Operands, call, register
from loopjax.trace.promotion import fold_weak, operand_dtypes
from loopjax.trace.types import TensorType, broadcast_shapes, dtype_name


class Unary(Protocol):
    def __call__(self, x: Any, /) -> Variable: ...


class Binary(Protocol):
    def __call__(self, x: Any, y: Any, /) -> Variable: ...


def pointwise(
    name: str, run: Callable[..., Any], operands: Operands = "common", result: str | None = None
) -> Callable[..., Variable]:
    """Registers an elementwise op and returns the function that records it.

    ``operands`` as in ``Row``; ``result`` is the dtype of the output where it is not that of the operands.
    """

    def infer(*types: TensorType) -> TensorType:
        dtype = result or operand_dtypes(operands, types)[-1]
        weak = result is None and all(type.weak for type in types)
        return TensorType(dtype, broadcast_shapes(*(type.shape for type in types)), weak)

    register(name, run, infer, "pointwise", operands)
    op = call(name)

    def record(*values: Any) -> Variable:
        return apply(op, *fold_weak(operands, [as_variable(value) for value in values]))[0]

    record.__name__ = record.__qualname__ = name
    record.__doc__ = f"``{name}`` of each element. Inputs broadcast and are brought to one dtype."
    return word(record)


def _unary(name: str, run: Callable[..., Any], operands: Operands = "common", result: str | None = None) -> Unary:
    return pointwise(name, run, operands, result)


def _binary(name: str, run: Callable[..., Any], operands: Operands = "common", result: str | None = None) -> Binary:
    return pointwise(name, run, operands, result)


def _round_half_away(x: Any) -> Any:
    return jnp.sign(x) * jnp.floor(jnp.abs(x) + 0.5)


add = _binary("add", jnp.add)
sub = _binary("sub", jnp.subtract)
mul = _binary("mul", jnp.multiply)
true_div = _binary("true_div", jnp.true_divide, "float")
floor_div = _binary("floor_div", jnp.floor_divide)
mod = _binary("mod", jnp.mod)
_power = _binary("power", jnp.power)
maximum = _binary("maximum", jnp.maximum)
minimum = _binary("minimum", jnp.minimum)
arctan2 = _binary("arctan2", jnp.arctan2, "float")
hypot = _binary("hypot", jnp.hypot, "float")
logaddexp = _binary("logaddexp", jnp.logaddexp, "float")

eq = _binary("eq", jnp.equal, result="bool")
neq = _binary("neq", jnp.not_equal, result="bool")
lt = _binary("lt", jnp.less, result="bool")
le = _binary("le", jnp.less_equal, result="bool")
gt = _binary("gt", jnp.greater, result="bool")
ge = _binary("ge", jnp.greater_equal, result="bool")

and_ = _binary("and_", jnp.bitwise_and)
or_ = _binary("or_", jnp.bitwise_or)
xor = _binary("xor", jnp.bitwise_xor)
invert = _unary("invert", jnp.invert)
left_shift = _binary("left_shift", jnp.left_shift)
right_shift = _binary("right_shift", jnp.right_shift)

neg = _unary("neg", jnp.negative)
abs = _unary("abs", jnp.abs)
sign = _unary("sign", jnp.sign)
identity = _unary("identity", lambda x: x)
exp = _unary("exp", jnp.exp, "float")
exp2 = _unary("exp2", jnp.exp2, "float")
expm1 = _unary("expm1", jnp.expm1, "float")
log = _unary("log", jnp.log, "float")
log2 = _unary("log2", jnp.log2, "float")
log10 = _unary("log10", jnp.log10, "float")
log1p = _unary("log1p", jnp.log1p, "float")
sqrt = _unary("sqrt", jnp.sqrt, "float")
sqr = _unary("sqr", jnp.square)
reciprocal = _unary("reciprocal", jnp.reciprocal, "float")
sin = _unary("sin", jnp.sin, "float")
cos = _unary("cos", jnp.cos, "float")
tan = _unary("tan", jnp.tan, "float")
arcsin = _unary("arcsin", jnp.arcsin, "float")
arccos = _unary("arccos", jnp.arccos, "float")
arctan = _unary("arctan", jnp.arctan, "float")
sinh = _unary("sinh", jnp.sinh, "float")
cosh = _unary("cosh", jnp.cosh, "float")
tanh = _unary("tanh", jnp.tanh, "float")
arcsinh = _unary("arcsinh", jnp.arcsinh, "float")
arccosh = _unary("arccosh", jnp.arccosh, "float")
arctanh = _unary("arctanh", jnp.arctanh, "float")
sigmoid = _unary("sigmoid", jax.nn.sigmoid, "float")
softplus = _unary("softplus", jax.nn.softplus, "float")
relu = _unary("relu", jax.nn.relu)
floor = _unary("floor", jnp.floor, "float")
ceil = _unary("ceil", jnp.ceil, "float")
trunc = _unary("trunc", jnp.trunc, "float")
rint = _unary("round_half_to_even", jnp.rint, "float")
round_half_away_from_zero = _unary("round_half_away_from_zero", _round_half_away, "float")
isnan = _unary("isnan", jnp.isnan, "float", "bool")
isinf = _unary("isinf", jnp.isinf, "float", "bool")
disconnected_grad = _unary("disconnected_grad", jax.lax.stop_gradient)
zero_grad = disconnected_grad

switch: Callable[[Any, Any, Any], Variable] = pointwise("switch", jnp.where, "branches")
where = switch
_clip: Callable[[Any, Any, Any], Variable] = pointwise("clip_between", jnp.clip)


@word
def pow(x: Any, y: Any) -> Variable:
    """``x ** y``. A Python integer exponent multiplies, so that its derivatives of any order are exact."""
    x, y = as_variable(x), as_variable(y)
    exponent = y.exact if isinstance(y, Constant) else None
    if isinstance(exponent, (int, np.integer)) and -64 <= exponent <= 64 and not x.type.weak:
        if exponent >= 0 or x.type.is_float:
            return apply(call("integer_pow", exponent=int(exponent)), x)[0]
    return _power(x, y)


def _integer_pow_type(type: TensorType, exponent: int) -> TensorType:
    return type


register("integer_pow", lambda x, exponent: jax.lax.integer_pow(x, exponent), _integer_pow_type, "pointwise")


@word
def cast(x: Any, dtype: Any) -> Variable:
    """``x`` as another dtype; floats become integers by truncation."""
    variable, name = as_variable(x), dtype_name(dtype)
    if variable.dtype == name and not variable.type.weak:
        return variable
    if isinstance(variable, Constant):
        value = variable.data if variable.exact is None else variable.exact
        return Constant(np.asarray(value).astype(jnp.dtype(name)), variable.name)
    return apply(call("cast", dtype=name), variable)[0]


def _cast_type(type: TensorType, dtype: str) -> TensorType:
    return type.with_dtype(dtype)


def _cast_run(x: Any, dtype: str) -> Any:
    if jnp.issubdtype(x.dtype, jnp.complexfloating) and not jnp.issubdtype(dtype, jnp.complexfloating):
        x = x.real
    return jnp.asarray(x).astype(dtype)


register("cast", _cast_run, _cast_type, "pointwise")


@word
def clip(x: Any, min: Any, max: Any) -> Variable:
    """``x`` limited to the range from ``min`` to ``max``."""
    return _clip(x, min, max)


@word
def round(x: Any, mode: str = "half_to_even") -> Variable:
    """``x`` rounded to whole numbers; ``mode`` is ``half_to_even`` or ``half_away_from_zero``."""
    if mode == "half_to_even":
        return rint(x)
    if mode == "half_away_from_zero":
        return round_half_away_from_zero(x)
    raise ValueError(f"round mode is 'half_to_even' or 'half_away_from_zero', not {mode!r}")
