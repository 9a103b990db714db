"""Elementwise ops: one value out for one value in, inputs broadcast and promoted to one dtype."""

from __future__ import annotations

import builtins
import inspect
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from loopjax.errors import here
from loopjax.ir.graph import Constant, Variable, apply
from loopjax.ir.op import Operands, TableOp, register, table_op
from loopjax.ir.public_ops import public_op
from loopjax.ir.traits import Trait
from loopjax.ir.types import TensorType, broadcast_shapes, dtype_name
from loopjax.tensor import lax_kernels
from loopjax.tensor.lax_kernels import compared, elementwise, logical
from loopjax.tensor.operands import promoted
from loopjax.trace.convert import as_variable
from loopjax.trace.promotion import operand_dtypes

__all__ = [
    "abs",
    "abs_",
    "absolute",
    "acos",
    "acosh",
    "add",
    "and_",
    "angle",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "bitwise_and",
    "bitwise_not",
    "bitwise_or",
    "bitwise_xor",
    "cast",
    "ceil",
    "clip",
    "complex",
    "conj",
    "cos",
    "cosh",
    "deg2rad",
    "divide",
    "eq",
    "exp",
    "exp2",
    "expm1",
    "floor",
    "floor_div",
    "ge",
    "gt",
    "hypot",
    "identity",
    "imag",
    "int_div",
    "inv",
    "invert",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "le",
    "left_shift",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "lt",
    "maximum",
    "minimum",
    "mod",
    "mul",
    "neg",
    "neq",
    "or_",
    "pow",
    "rad2deg",
    "real",
    "reciprocal",
    "relu",
    "right_shift",
    "rint",
    "round",
    "round_half_away_from_zero",
    "second",
    "sgn",
    "sigmoid",
    "sign",
    "sin",
    "sinh",
    "softplus",
    "sqr",
    "sqrt",
    "square",
    "sub",
    "switch",
    "tan",
    "tanh",
    "true_div",
    "trunc",
    "where",
    "xor",
]


class Unary(Protocol):
    def __call__(self, x: Any, /) -> Variable: ...


class Binary(Protocol):
    def __call__(self, x: Any, y: Any, /) -> Variable: ...


ANY, NUMBER, REAL, WHOLE, LOGICAL = "biufc", "iufc", "iuf", "iu", "biu"
"""Kinds of dtype, by NumPy's letters, that an op may take."""

CHEAP: tuple[Trait, ...] = ("cheap",)

Result = str | Callable[[str], str] | None


def pointwise(
    name: str,
    run: Callable[..., Any],
    operands: Operands = "common",
    result: Result = None,
    kinds: str = ANY,
    traits: Sequence[Trait] = (),
    parameters: Sequence[str] = ("x",),
) -> Callable[..., Variable]:
    """Registers an elementwise op and returns the function that records it.

    ``operands`` as in ``OpDef``; ``result`` is the dtype of the output, or gives it from that of the
    operands, where the two differ; ``kinds`` are the kinds of dtype that the operands may meet in.
    """

    def infer(*types: TensorType) -> TensorType:
        shape = broadcast_shapes(*(type.shape for type in types))
        dtype = operand_dtypes(operands, types)[-1]
        if _kind(dtype) not in kinds:
            raise TypeError(f"{_KINDS[kinds]} are expected, got {dtype}; cast with .astype(...)")
        values = types[1:] if operands == "branches" else types
        weak = not isinstance(result, str) and all(type.weak for type in values)
        if result is not None:
            dtype = result(dtype) if callable(result) else result
        return TensorType(dtype, shape, weak)

    register(name, run, infer, "pointwise", *traits, operands=operands)
    op = table_op(name)

    record = _recorder(op, operands, parameters)
    record.__name__ = record.__qualname__ = name
    record.__doc__ = f"``{name}`` of each element. Inputs broadcast and are brought to one dtype."
    return public_op(record)


def _recorder(op: TableOp, operands: Operands, parameters: Sequence[str]) -> Callable[..., Variable]:
    """Function of these positional parameters that records a node of the op."""

    def unary(x: Any, /) -> Variable:
        return apply(op, *promoted(operands, (x,)))[0]

    def binary(x: Any, y: Any, /) -> Variable:
        return apply(op, *promoted(operands, (x, y)))[0]

    def ternary(x: Any, y: Any, z: Any, /) -> Variable:
        return apply(op, *promoted(operands, (x, y, z)))[0]

    functions: tuple[Callable[..., Variable], ...] = (unary, binary, ternary)
    record: Any = functions[len(parameters) - 1]
    kind = inspect.Parameter.POSITIONAL_ONLY
    record.__signature__ = inspect.Signature(
        [inspect.Parameter(name, kind, annotation=Any) for name in parameters], return_annotation=Variable
    )
    return record


_KINDS = {NUMBER: "numbers", REAL: "real numbers", WHOLE: "integers", LOGICAL: "integers or booleans"}


@cache
def _kind(dtype: str) -> str:
    return "f" if jnp.issubdtype(dtype, jnp.floating) else np.dtype(dtype).kind


def _unary(
    name: str,
    run: Callable[..., Any],
    operands: Operands = "common",
    result: Result = None,
    kinds: str = ANY,
    traits: Sequence[Trait] = (),
) -> Unary:
    return pointwise(name, run, operands, result, kinds, traits)


def _binary(
    name: str,
    run: Callable[..., Any],
    operands: Operands = "common",
    result: Result = None,
    kinds: str = ANY,
    traits: Sequence[Trait] = (),
) -> Binary:
    return pointwise(name, run, operands, result, kinds, traits, parameters=("x", "y"))


def real_dtype(dtype: str) -> str:
    """The dtype of an absolute value."""
    return {"complex64": "float32", "complex128": "float64"}.get(dtype, dtype)


def complex_dtype(dtype: str) -> str:
    """The dtype of a number whose real part has this one."""
    return "complex64" if dtype == "float32" else "complex128"


def _round_half_away(x: Any) -> Any:
    return jnp.sign(x) * jnp.floor(jnp.abs(x) + 0.5)


def _second(x: Any, y: Any) -> Any:
    return jnp.broadcast_to(y, jnp.broadcast_shapes(x.shape, y.shape))


add = _binary("add", elementwise(lax.add, of_bools=lax.bitwise_or), traits=CHEAP)
sub = _binary("sub", elementwise(lax.sub), kinds=NUMBER, traits=CHEAP)
mul = _binary("mul", elementwise(lax.mul, of_bools=lax.bitwise_and), traits=CHEAP)
true_div = _binary("true_div", elementwise(lax.div), "float", traits=CHEAP)
floor_div = _binary("floor_div", jnp.floor_divide, kinds=REAL)
mod = _binary("mod", jnp.mod, kinds=REAL)
_power = _binary("power", jnp.power, kinds=NUMBER)
maximum = _binary("maximum", elementwise(lax.max), traits=CHEAP)
minimum = _binary("minimum", elementwise(lax.min), traits=CHEAP)
arctan2 = _binary("arctan2", elementwise(lax.atan2), "float", kinds=REAL)
hypot = _binary("hypot", jnp.hypot, "float", kinds=REAL)
logaddexp = _binary("logaddexp", jnp.logaddexp, "float")
second = _binary("second", _second, "as is", traits=CHEAP)

eq = _binary("eq", elementwise(lax.eq), result="bool", traits=CHEAP)
neq = _binary("neq", elementwise(lax.ne), result="bool", traits=CHEAP)
lt = _binary("lt", compared(lax.lt, jnp.less), result="bool", traits=CHEAP)
le = _binary("le", compared(lax.le, jnp.less_equal), result="bool", traits=CHEAP)
gt = _binary("gt", compared(lax.gt, jnp.greater), result="bool", traits=CHEAP)
ge = _binary("ge", compared(lax.ge, jnp.greater_equal), result="bool", traits=CHEAP)

and_ = _binary("and_", elementwise(lax.bitwise_and), kinds=LOGICAL, traits=CHEAP)
or_ = _binary("or_", elementwise(lax.bitwise_or), kinds=LOGICAL, traits=CHEAP)
xor = _binary("xor", elementwise(lax.bitwise_xor), kinds=LOGICAL, traits=CHEAP)
invert = _unary("invert", lax.bitwise_not, kinds=LOGICAL, traits=CHEAP)
left_shift = _binary("left_shift", jnp.left_shift, kinds=WHOLE)
right_shift = _binary("right_shift", jnp.right_shift, kinds=WHOLE)
logical_and = _binary("logical_and", logical(lax.bitwise_and), result="bool", traits=CHEAP)
logical_or = _binary("logical_or", logical(lax.bitwise_or), result="bool", traits=CHEAP)
logical_xor = _binary("logical_xor", logical(lax.bitwise_xor), result="bool", traits=CHEAP)
logical_not = _unary("logical_not", logical(lax.bitwise_not), result="bool", traits=CHEAP)

neg = _unary("neg", lax.neg, kinds=NUMBER, traits=CHEAP)
abs = _unary("abs", lax_kernels.absolute, result=real_dtype, traits=CHEAP)
sign = _unary("sign", lax.sign, kinds=NUMBER, traits=CHEAP)
identity = _unary("identity", lambda x: x, traits=("view", "cheap"))
exp = _unary("exp", lax.exp, "float")
exp2 = _unary("exp2", lax.exp2, "float")
expm1 = _unary("expm1", lax.expm1, "float")
log = _unary("log", lax.log, "float")
log2 = _unary("log2", jnp.log2, "float")
log10 = _unary("log10", jnp.log10, "float")
log1p = _unary("log1p", lax.log1p, "float")
sqrt = _unary("sqrt", lax.sqrt, "float", traits=CHEAP)
sqr = _unary("sqr", lax.square, kinds=NUMBER, traits=CHEAP)
inv = reciprocal = _unary("reciprocal", jnp.reciprocal, "float", traits=CHEAP)
deg2rad = _unary("deg2rad", jnp.deg2rad, "float", kinds=REAL)
rad2deg = _unary("rad2deg", jnp.rad2deg, "float", kinds=REAL)
sin = _unary("sin", lax.sin, "float")
cos = _unary("cos", lax.cos, "float")
tan = _unary("tan", lax.tan, "float")
arcsin = _unary("arcsin", lax.asin, "float")
arccos = _unary("arccos", lax.acos, "float")
arctan = _unary("arctan", lax.atan, "float")
sinh = _unary("sinh", lax.sinh, "float")
cosh = _unary("cosh", lax.cosh, "float")
tanh = _unary("tanh", lax.tanh, "float")
arcsinh = _unary("arcsinh", lax.asinh, "float")
arccosh = _unary("arccosh", jnp.arccosh, "float")
arctanh = _unary("arctanh", lax.atanh, "float")
sigmoid = _unary("sigmoid", lax.logistic, "float")
softplus = _unary("softplus", jax.nn.softplus, "float", kinds=REAL)
relu = _unary("relu", lax_kernels.relu, kinds=REAL, traits=CHEAP)
floor = _unary("floor", lax.floor, "float", kinds=REAL)
ceil = _unary("ceil", lax.ceil, "float", kinds=REAL)
trunc = _unary("trunc", jnp.trunc, "float", kinds=REAL)
rint = _unary("round_half_to_even", jnp.rint, "float", kinds=REAL)
round_half_away_from_zero = _unary("round_half_away_from_zero", _round_half_away, "float", kinds=REAL)
isnan = _unary("isnan", lambda x: lax.ne(x, x), "float", "bool")
isinf = _unary("isinf", jnp.isinf, "float", "bool")
isfinite = _unary("isfinite", jnp.isfinite, "float", "bool")
real = _unary("real", jnp.real, result=real_dtype, traits=CHEAP)
imag = _unary("imag", jnp.imag, result=real_dtype, traits=CHEAP)
conj = _unary("conj", jnp.conj)
angle = _unary("angle", jnp.angle, "float", real_dtype)
complex = _binary("complex", lax.complex, "float", complex_dtype, kinds=REAL, traits=CHEAP)

switch: Callable[[Any, Any, Any], Variable] = pointwise(
    "switch", lax_kernels.where, "branches", traits=CHEAP, parameters=("condition", "x", "y")
)
where = switch
_clip: Callable[[Any, Any, Any], Variable] = pointwise(
    "clip_between", lax_kernels.clip, traits=CHEAP, parameters=("x", "min", "max")
)

absolute = abs_ = abs
sgn = sign
square = sqr
int_div = floor_div
divide = true_div
bitwise_and, bitwise_or, bitwise_xor, bitwise_not = and_, or_, xor, invert
acos, asin, atan, atan2 = arccos, arcsin, arctan, arctan2
acosh, asinh, atanh = arccosh, arcsinh, arctanh


@public_op
def pow(x: Any, y: Any) -> Variable:
    """``x ** y``. A whole exponent, given as a number, multiplies, so that derivatives of any order are exact.

    Raises ``ValueError`` for a negative one of an integer ``x``.
    """
    x, y = as_variable(x), as_variable(y)
    exponent = _whole(y, x)
    if exponent is None:
        return _power(x, y)
    if exponent < 0 and x.type.is_integer:
        raise ValueError(f"integers have no negative powers; cast x to a float dtype, or write 1 / x ** n{here()}")
    return apply(table_op("integer_pow", exponent=exponent), x)[0]


def _whole(exponent: Variable, x: Variable) -> int | None:
    """A number's value, where it is whole and small enough to multiply so often."""
    number = exponent.exact if isinstance(exponent, Constant) else None
    if number is None or x.type.weak or x.dtype == "bool" or isinstance(number, (builtins.complex, np.complexfloating)):
        return None
    if not (isinstance(number, (int, np.integer)) or x.type.is_float):
        return None
    return int(number) if -64 <= number <= 64 and number == int(number) else None


def _integer_pow_type(type: TensorType, exponent: int) -> TensorType:
    return type


register("integer_pow", lambda x, exponent: lax.integer_pow(x, exponent), _integer_pow_type, "pointwise", "cheap")


@public_op
def cast(x: Any, dtype: Any) -> Variable:
    """``x`` as another dtype; floats become integers by truncation."""
    variable, name = as_variable(x), dtype_name(dtype)
    if variable.dtype == name and not variable.type.weak:
        return variable
    if isinstance(variable, Constant):
        value = np.asarray(variable.data if variable.exact is None else variable.exact)
        if value.dtype.kind == "c" and _kind(name) != "c":
            value = value.real
        return Constant(value.astype(jnp.dtype(name)), variable.name)
    return apply(table_op("cast", dtype=name), variable)[0]


def _cast_type(type: TensorType, dtype: str) -> TensorType:
    return type.with_dtype(dtype)


def _cast_run(x: Any, dtype: str) -> Any:
    if dtype == "bool" or x.dtype.kind == "c":
        x = x.real if x.dtype.kind == "c" and _kind(dtype) not in "cb" else jnp.asarray(x)
        return jnp.asarray(x).astype(dtype)
    return lax.convert_element_type(x, dtype)


register("cast", _cast_run, _cast_type, "pointwise", "cheap")


@public_op
def clip(x: Any, min: Any, max: Any) -> Variable:
    """``x`` limited to the range from ``min`` to ``max``, of which one may be ``None``."""
    if min is None:
        return identity(x) if max is None else minimum(x, max)
    return maximum(x, min) if max is None else _clip(x, min, max)


@public_op
def round(x: Any, mode: str = "half_to_even") -> Variable:
    """``x`` rounded to whole numbers; ``mode`` is ``half_to_even`` or ``half_away_from_zero``."""
    if mode == "half_to_even":
        return rint(x)
    if mode == "half_away_from_zero":
        return round_half_away_from_zero(x)
    raise ValueError(f"round mode is 'half_to_even' or 'half_away_from_zero', not {mode!r}{here()}")


def _isclose_type(x: TensorType, y: TensorType, rtol: float, atol: float, equal_nan: bool) -> TensorType:
    return TensorType("bool", broadcast_shapes(x.shape, y.shape))


def _isclose_run(x: Any, y: Any, rtol: float, atol: float, equal_nan: bool) -> Any:
    return jnp.isclose(x, y, rtol, atol, equal_nan)


register("isclose", _isclose_run, _isclose_type, "pointwise", operands="common")


@public_op
def isclose(x: Any, y: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Variable:
    """Where ``abs(x - y) <= atol + rtol * abs(y)``; ``equal_nan`` counts two NaNs as close."""
    op = table_op("isclose", rtol=float(rtol), atol=float(atol), equal_nan=bool(equal_nan))
    return apply(op, *promoted("common", [x, y]))[0]
