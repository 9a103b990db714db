"""Elementwise ops.

An elementwise op is an entry of the op table with the trait ``pointwise`` and a public function that records it.
`pointwise` makes both from one call, so that a new op is one line::

    tanh = _unary("tanh", lax.tanh, "Hyperbolic tangent", "at.tanh(0.0) -> 0.0", "float")

and its name in ``__all__``. ``operands`` decides how inputs are converted before the implementation sees them:
``"common"`` (the default) to their common dtype in JAX's promotion lattice, ``"float"`` to a float dtype, floatX where
no input is a float. Shapes broadcast as in NumPy, except that only a size known to be 1 while recording stretches. The
docstring is made of the summary, the example and these facts.

Functions such as `pow` with a whole exponent or `clip` with one bound choose between ops while recording.
"""

from __future__ import annotations

import builtins
import inspect
from collections.abc import Callable, Sequence
from functools import cache, reduce
from typing import Any, Literal, Protocol

import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import DTypeLike

from loopjax.errors import coded
from loopjax.ir.graph import Constant, Variable, apply
from loopjax.ir.op import Operands, TableOp, register, table_op
from loopjax.ir.public_ops import public_op
from loopjax.ir.traits import Trait
from loopjax.ir.types import TensorType, broadcast_shapes, dtype_name
from loopjax.tensor import lax_kernels
from loopjax.tensor.lax_kernels import comparison, elementwise, logical
from loopjax.tensor.operands import promoted
from loopjax.trace.convert import as_variable, is_complex
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
    """Elementwise function of one input."""

    def __call__(self, x: Any, /) -> Variable: ...


class Binary(Protocol):
    """Elementwise function of two inputs."""

    def __call__(self, x: Any, y: Any, /) -> Variable: ...


class Folding(Protocol):
    """Elementwise function of two inputs or more, applied from left to right."""

    def __call__(self, x: Any, y: Any, /, *more: Any) -> Variable: ...


class Select(Protocol):
    """Elementwise choice between two inputs."""

    def __call__(self, condition: Any, x: Any, y: Any, /) -> Variable: ...


ANY, NUMBER, REAL, WHOLE, LOGICAL = "biufc", "iufc", "iuf", "iu", "biu"
"""Sets of dtype kinds, by NumPy's letters, that an op accepts."""

KINDS = {ANY: "numbers or booleans", NUMBER: "numbers", REAL: "real numbers", WHOLE: "integers"}
KINDS[LOGICAL] = "integers or booleans"
"""Names of those sets in docstrings and errors."""

CHEAP: tuple[Trait, ...] = ("cheap",)
LINEAR: tuple[Trait, ...] = ("cheap", "finite_derivative")

SMOOTH = "Differentiable in forward and reverse mode, to any order."
STEP = "Constant but for jumps, so that derivatives are zero."

Result = str | Callable[[str], str] | None


def pointwise(
    name: str,
    run: Callable[..., Any],
    summary: str,
    example: str,
    operands: Operands = "common",
    result: Result = None,
    kinds: str = ANY,
    traits: Sequence[Trait] = (),
    parameters: Sequence[str] = ("x",),
    derivative: str = SMOOTH,
    module: str = __name__,
) -> Callable[..., Variable]:
    """Register an elementwise op and return the public function that records it.

    Parameters
    ----------
    name : str
        Name of the op and of the function.
    run : callable
        The op on JAX arrays of one dtype, of shapes that broadcast.
    summary : str
        First line of the function's docstring, without the full stop.
    example : str
        ``"at.sub(3, 1) -> 2"``: an expression and what its value prints, run as a doctest.
    operands : str
        Conversion of the inputs, as in `OpDef`.
    result : str or callable, optional
        Dtype of the output, or a function of the inputs' common dtype that gives it. The common dtype by default.
    kinds : str
        Kinds of dtype that the common dtype may be of, by NumPy's letters.
    traits : sequence of str
        Traits of the op besides ``pointwise``.
    parameters : sequence of str
        Names of the function's positional parameters.
    derivative : str
        Sentence for the docstring on derivatives that exist.
    module : str
        Name of the module that the function is public in.

    Returns
    -------
    callable
        The function, registered as a public op under ``name``.
    """

    def infer(*types: TensorType, **params: Any) -> TensorType:
        shape = broadcast_shapes(*(type.shape for type in types))
        dtype = operand_dtypes(operands, types)[-1]
        if _kind(dtype) not in kinds:
            raise coded(TypeError, "LJ510")(f"operands: {KINDS[kinds]} are expected, got {dtype}; write .astype(...)")
        values = types[1:] if operands == "branches" else types
        weak = not isinstance(result, str) and all(type.weak for type in values)
        if result is not None:
            dtype = result(dtype) if callable(result) else result
        return TensorType(dtype, shape, weak)

    register(name, run, infer, "pointwise", *traits, operands=operands)
    record = _recorder(table_op(name), operands, parameters)
    record.__name__ = record.__qualname__ = name
    record.__module__ = module
    if result == "bool" or kinds in (WHOLE, LOGICAL):
        derivative = "The result is no float and has no derivative."
    record.__doc__ = _DOCSTRING.format(
        summary=summary if summary.endswith(")") else f"{summary}.",
        derivative=derivative,
        parameters=", ".join(parameters),
        accepted=_accepted(operands, kinds, len(parameters)),
        shape="the shape of ``x``" if len(parameters) == 1 else "the shape that the inputs broadcast to",
        dtype=_result_dtype(operands, result, len(parameters)),
        raises=_raises(operands, len(parameters)),
        expression=example.partition(" -> ")[0],
        printed=example.partition(" -> ")[2],
    )
    return public_op(record)


_DOCSTRING = """{summary}

{derivative}

Parameters
----------
{parameters} : array_like
    {accepted}

Returns
-------
Variable
    Of {shape} and {dtype}.

Raises
------
TypeError
    Where an input is not a variable, number or array of such a dtype.
{raises}
Examples
--------
>>> import loopjax.tensor as at
>>> print({expression}.eval())
{printed}
"""


def _raises(operands: Operands, count: int) -> str:
    """Entries of a docstring's Raises section besides ``TypeError``."""
    if count == 1:
        return ""
    shapes = "ValueError\n    Where the shapes do not broadcast.\n"
    if operands not in ("common", "branches"):
        return shapes
    return f"{shapes}OverflowError\n    Where a Python integer does not fit into the dtype of the other inputs.\n"


def _accepted(operands: Operands, kinds: str, count: int) -> str:
    """Sentence on what an op accepts."""
    # A boolean becomes floatX before the common dtype is looked at.
    names = "real numbers or booleans" if operands == "float" and kinds == REAL else KINDS[kinds]
    return f"{names.capitalize()} of any shape." if count == 1 else f"{names.capitalize()} of shapes that broadcast."


def _result_dtype(operands: Operands, result: Result, count: int) -> str:
    """Phrase on the dtype of an op's output."""
    if isinstance(result, str):
        return f"dtype {result}"
    if result is not None:
        return "the dtype of a complex number's parts" if result is real_dtype else "complex dtype"
    if operands == "float":
        return (
            "its dtype, floatX where that is no float"
            if count == 1
            else "the common dtype, floatX where no input is a float"
        )
    if operands == "branches":
        return "the common dtype of ``x`` and ``y``"
    if operands == "as is":
        return "the dtype of ``y``"
    return "its dtype" if count == 1 else "the common dtype"


def _recorder(op: TableOp, operands: Operands, parameters: Sequence[str]) -> Callable[..., Variable]:
    """Function of these positional parameters that records a node of the op; with ``*more``, one for each of them."""

    def unary(x: Any, /) -> Variable:
        return apply(op, *promoted(operands, (x,)))[0]

    def binary(x: Any, y: Any, /) -> Variable:
        return apply(op, *promoted(operands, (x, y)))[0]

    def ternary(x: Any, y: Any, z: Any, /) -> Variable:
        return apply(op, *promoted(operands, (x, y, z)))[0]

    def quaternary(w: Any, x: Any, y: Any, z: Any, /) -> Variable:
        return apply(op, *promoted(operands, (w, x, y, z)))[0]

    def folding(x: Any, y: Any, /, *more: Any) -> Variable:
        return reduce(binary, more, binary(x, y))

    functions: tuple[Callable[..., Variable], ...] = (unary, binary, ternary, quaternary)
    record: Any = folding
    if not parameters[-1].startswith("*"):
        record = functions[len(parameters) - 1]
        # Python's error of a missing argument has the names of the code.
        record.__code__ = record.__code__.replace(co_varnames=tuple(parameters))
    kinds = [
        inspect.Parameter.VAR_POSITIONAL if "*" in one else inspect.Parameter.POSITIONAL_ONLY for one in parameters
    ]
    record.__signature__ = inspect.Signature(
        [inspect.Parameter(one.strip("*"), kind, annotation=Any) for one, kind in zip(parameters, kinds, strict=True)],
        return_annotation=Variable,
    )
    return record


@cache
def _kind(dtype: str) -> str:
    """NumPy's letter for the kind of a dtype; bfloat16 counts as a float."""
    return "f" if jnp.issubdtype(dtype, jnp.floating) else np.dtype(dtype).kind


def _unary(
    name: str,
    run: Callable[..., Any],
    summary: str,
    example: str,
    operands: Operands = "common",
    result: Result = None,
    kinds: str = ANY,
    traits: Sequence[Trait] = (),
    derivative: str = SMOOTH,
) -> Unary:
    """`pointwise` of one input."""
    return pointwise(name, run, summary, example, operands, result, kinds, traits, ("x",), derivative)


def _binary(
    name: str,
    run: Callable[..., Any],
    summary: str,
    example: str,
    operands: Operands = "common",
    result: Result = None,
    kinds: str = ANY,
    traits: Sequence[Trait] = (),
    derivative: str = SMOOTH,
) -> Binary:
    """`pointwise` of two inputs."""
    return pointwise(name, run, summary, example, operands, result, kinds, traits, ("x", "y"), derivative)


def _folding(
    name: str,
    run: Callable[..., Any],
    summary: str,
    example: str,
    kinds: str = ANY,
    traits: Sequence[Trait] = CHEAP,
    derivative: str = SMOOTH,
) -> Folding:
    """`pointwise` of two inputs, whose function takes more of them."""
    more = ("x", "y", "*more")
    return pointwise(name, run, summary, example, kinds=kinds, traits=traits, parameters=more, derivative=derivative)


def _predicate(name: str, run: Callable[..., Any], summary: str, example: str) -> Binary:
    """`pointwise` of two inputs whose result is boolean."""
    return _binary(name, run, summary, example, result="bool", traits=CHEAP)


def real_dtype(dtype: str) -> str:
    """Dtype of the absolute value of a number of this dtype."""
    return {"complex64": "float32", "complex128": "float64"}.get(dtype, dtype)


def complex_dtype(dtype: str) -> str:
    """Dtype of the complex number whose parts have this dtype."""
    return "complex64" if dtype == "float32" else "complex128"


def _round_half_away(x: Any) -> Any:
    """Rounding as by C's ``round``; NumPy rounds halves to even."""
    return jnp.sign(x) * jnp.floor(jnp.abs(x) + 0.5)


def _floor_div(x: Any, y: Any) -> Any:
    """`jax.numpy.floor_divide`, but of integers 0 where ``y`` is 0, which XLA leaves open."""
    quotient = jnp.floor_divide(x, y)
    return quotient if _kind(str(x.dtype)) == "f" else jnp.where(y == 0, 0, quotient)


def _power_run(x: Any, y: Any) -> Any:
    """`jax.numpy.power`, but a negative power of an integer is truncated to an integer instead of wrapping around."""
    if lax_kernels.is_half_integer(y) and _kind(str(x.dtype)) == "f":
        return lax_kernels.half_integer_power(x, float(y))
    if _kind(str(y.dtype)) != "i":
        return jnp.power(x, y)
    inverse = jnp.where((x == 1) | (x == -1), jnp.where(y % 2 == 0, 1, x), 0).astype(x.dtype)
    return jnp.where(y < 0, inverse, jnp.power(x, jnp.maximum(y, 0)))


def _second(x: Any, y: Any) -> Any:
    """``y`` broadcast with ``x``."""
    return jnp.broadcast_to(y, jnp.broadcast_shapes(x.shape, y.shape))


add = _folding(
    "add",
    elementwise(lax.add, of_bools=lax.bitwise_or),
    "``x + y``, and further terms; of booleans, logical or",
    "at.add([1, 2], 10, 5) -> [16 17]",
    traits=LINEAR,
)
sub = _binary(
    "sub", elementwise(lax.sub), "``x - y``", "at.sub([3.0, 5.0], 1.5) -> [1.5 3.5]", kinds=NUMBER, traits=LINEAR
)
mul = _folding(
    "mul",
    elementwise(lax.mul, of_bools=lax.bitwise_and),
    "``x * y``, and further factors; of booleans, logical and",
    "at.mul([1.5, 2.0], 2) -> [3. 4.]",
)
true_div = _binary(
    "true_div",
    elementwise(lax.div),
    "``x / y`` in floats",
    "at.true_div([1, 3], 2) -> [0.5 1.5]",
    "float",
    traits=CHEAP,
)
floor_div = _binary(
    "floor_div",
    _floor_div,
    "``x // y``: the quotient rounded towards minus infinity; of integers, 0 where ``y`` is 0, as in NumPy",
    "at.floor_div([7, -7], 2) -> [ 3 -4]",
    kinds=REAL,
    derivative=STEP,
)
mod = _binary(
    "mod",
    jnp.mod,
    "Remainder of ``x // y``, with the sign of ``y``; of integers, 0 where ``y`` is 0, as in NumPy",
    "at.mod([7, -7], 3) -> [1 2]",
    kinds=REAL,
)
_power = _binary(
    "power",
    _power_run,
    "``x ** y``, by `jax.numpy.power`; see `pow`",
    "at.pow([4.0, 9.0], 0.5) -> [2. 3.]",
    kinds=NUMBER,
)
maximum = _folding(
    "maximum",
    elementwise(lax.max),
    "Largest of ``x``, ``y`` and more; NaN where any is",
    "at.maximum([1, 5], 3, 4) -> [4 5]",
    traits=LINEAR,
    derivative="Where ``x`` equals ``y``, each gets half of the derivative.",
)
minimum = _folding(
    "minimum",
    elementwise(lax.min),
    "Smallest of ``x``, ``y`` and more; NaN where any is",
    "at.minimum([1, 5], 3, 2) -> [1 2]",
    traits=LINEAR,
    derivative="Where ``x`` equals ``y``, each gets half of the derivative.",
)
arctan2 = _binary(
    "arctan2",
    elementwise(lax.atan2),
    "Angle of the point ``(y, x)`` from the first axis, in radians: the first argument is the ordinate, as in NumPy",
    "at.arctan2(0.0, 1.0) -> 0.0",
    "float",
    kinds=REAL,
)
hypot = _binary(
    "hypot",
    jnp.hypot,
    "``sqrt(x**2 + y**2)`` without overflow in between",
    "at.hypot(3.0, 4.0) -> 5.0",
    "float",
    kinds=REAL,
)
logaddexp = _binary(
    "logaddexp",
    jnp.logaddexp,
    "``log(exp(x) + exp(y))`` without overflow in between",
    "at.logaddexp(0.0, -1000.0) -> 0.0",
    "float",
)
second = _binary(
    "second",
    _second,
    "``y`` in the shape that ``x`` and ``y`` broadcast to",
    "at.second([0, 0, 0], 7) -> [7 7 7]",
    "as is",
    traits=LINEAR,
    derivative="Differentiable in ``y``; the derivative by ``x`` is zero.",
)

eq = _predicate(
    "eq",
    elementwise(lax.eq),
    "True where ``x`` equals ``y``. (``x == y`` compares the identity of two variables.)",
    "at.eq([1, 2], [1, 3]) -> [ True False]",
)
neq = _predicate(
    "neq", elementwise(lax.ne), "True where ``x`` differs from ``y``", "at.neq([1, 2], [1, 3]) -> [False  True]"
)
lt = _predicate("lt", comparison(lax.lt, jnp.less), "``x < y``", "at.lt([1, 2], 2) -> [ True False]")
le = _predicate("le", comparison(lax.le, jnp.less_equal), "``x <= y``", "at.le([1, 2], 1) -> [ True False]")
gt = _predicate("gt", comparison(lax.gt, jnp.greater), "``x > y``", "at.gt([1, 2], 1) -> [False  True]")
ge = _predicate("ge", comparison(lax.ge, jnp.greater_equal), "``x >= y``", "at.ge([1, 2], 2) -> [False  True]")

and_ = _folding(
    "and_",
    elementwise(lax.bitwise_and),
    "``x & y``: bitwise and",
    "at.and_([12, 10], 6) -> [4 2]",
    kinds=LOGICAL,
)
or_ = _folding(
    "or_",
    elementwise(lax.bitwise_or),
    "``x | y``: bitwise or",
    "at.or_([12, 10], 6) -> [14 14]",
    kinds=LOGICAL,
)
xor = _folding(
    "xor",
    elementwise(lax.bitwise_xor),
    "``x ^ y``: bitwise exclusive or",
    "at.xor([12, 10], 6) -> [10 12]",
    kinds=LOGICAL,
)
invert = _unary(
    "invert",
    lax.bitwise_not,
    "``~x``: every bit inverted; of booleans, logical not",
    "at.invert([0, 5]) -> [-1 -6]",
    kinds=LOGICAL,
    traits=CHEAP,
)
left_shift = _binary("left_shift", jnp.left_shift, "``x << y``", "at.left_shift([1, 3], 2) -> [ 4 12]", kinds=WHOLE)
right_shift = _binary(
    "right_shift",
    jnp.right_shift,
    "``x >> y``; the sign of a signed integer is kept",
    "at.right_shift([8, -8], 1) -> [ 4 -4]",
    kinds=WHOLE,
)
logical_and = _predicate(
    "logical_and",
    logical(lax.bitwise_and),
    "True where ``x`` and ``y`` are both true, that is not zero",
    "at.logical_and([0, 2], [1, 1]) -> [False  True]",
)
logical_or = _predicate(
    "logical_or",
    logical(lax.bitwise_or),
    "True where ``x`` or ``y`` is true, that is not zero",
    "at.logical_or([0, 2], [0, 0]) -> [False  True]",
)
logical_xor = _predicate(
    "logical_xor",
    logical(lax.bitwise_xor),
    "True where one of ``x`` and ``y`` is true (not zero) and the other is not",
    "at.logical_xor([0, 2], [3, 3]) -> [ True False]",
)
logical_not = _unary(
    "logical_not",
    logical(lax.bitwise_not),
    "True where ``x`` is zero or false",
    "at.logical_not([0, 2]) -> [ True False]",
    result="bool",
    traits=CHEAP,
)

neg = _unary("neg", lax.neg, "``-x``", "at.neg([1, -2]) -> [-1  2]", kinds=NUMBER, traits=LINEAR)
abs = _unary(
    "abs",
    lax_kernels.absolute,
    "Absolute value; of complex numbers, the modulus",
    "at.abs([-1.5, 2.0]) -> [1.5 2. ]",
    result=real_dtype,
    traits=CHEAP,
    derivative="The derivative at 0 is 1, as in JAX.",
)
sign = _unary(
    "sign",
    lax.sign,
    "Sign of each element: -1, 0 or 1; of complex numbers, ``x / abs(x)``",
    "at.sign([-2.5, 0.0, 3.0]) -> [-1.  0.  1.]",
    kinds=NUMBER,
    traits=CHEAP,
    derivative=STEP,
)
identity = _unary(
    "identity", lambda x: x, "``x`` itself, as a new variable", "at.identity([1, 2]) -> [1 2]", traits=("view", "cheap")
)
exp = _unary("exp", lax.exp, "Exponential", "at.exp([0.0, float('-inf')]) -> [1. 0.]", "float")
exp2 = _unary("exp2", lax.exp2, "``2 ** x``", "at.exp2([0.0, 3.0]) -> [1. 8.]", "float")
expm1 = _unary(
    "expm1", lax.expm1, "``exp(x) - 1``, exact near 0", "at.expm1([0.0, float('-inf')]) -> [ 0. -1.]", "float"
)
log = _unary(
    "log", lax.log, "Natural logarithm; NaN for negative numbers", "at.log([1.0, 0.0]) -> [  0. -inf]", "float"
)
log2 = _unary(
    "log2", jnp.log2, "Logarithm to base 2; NaN for negative numbers", "at.log2([1.0, 8.0]) -> [0. 3.]", "float"
)
log10 = _unary(
    "log10", jnp.log10, "Logarithm to base 10; NaN for negative numbers", "at.log10([1.0, 100.0]) -> [0. 2.]", "float"
)
log1p = _unary("log1p", lax.log1p, "``log(1 + x)``, exact near 0", "at.log1p(0.0) -> 0.0", "float")
sqrt = _unary(
    "sqrt",
    lax.sqrt,
    "Square root; NaN for negative numbers",
    "at.sqrt([4.0, 9.0]) -> [2. 3.]",
    "float",
    traits=CHEAP,
    derivative="The derivative at 0 is infinite.",
)
sqr = _unary("sqr", lax.square, "Square", "at.sqr([3, -4]) -> [ 9 16]", kinds=NUMBER, traits=CHEAP)
inv = reciprocal = _unary(
    "reciprocal", jnp.reciprocal, "``1 / x``", "at.reciprocal([2.0, 4.0]) -> [0.5  0.25]", "float", traits=CHEAP
)
deg2rad = _unary("deg2rad", jnp.deg2rad, "Degrees to radians", "at.deg2rad(0.0) -> 0.0", "float", kinds=REAL)
rad2deg = _unary("rad2deg", jnp.rad2deg, "Radians to degrees", "at.rad2deg(0.0) -> 0.0", "float", kinds=REAL)
sin = _unary("sin", lax.sin, "Sine of radians", "at.sin(0.0) -> 0.0", "float")
cos = _unary("cos", lax.cos, "Cosine of radians", "at.cos(0.0) -> 1.0", "float")
tan = _unary("tan", lax.tan, "Tangent of radians", "at.tan(0.0) -> 0.0", "float")
arcsin = _unary(
    "arcsin", lax.asin, "Inverse sine, in radians; NaN outside of -1 to 1", "at.arcsin(0.0) -> 0.0", "float"
)
arccos = _unary(
    "arccos", lax.acos, "Inverse cosine, in radians; NaN outside of -1 to 1", "at.arccos(1.0) -> 0.0", "float"
)
arctan = _unary("arctan", lax.atan, "Inverse tangent, in radians", "at.arctan(0.0) -> 0.0", "float")
sinh = _unary("sinh", lax.sinh, "Hyperbolic sine", "at.sinh(0.0) -> 0.0", "float")
cosh = _unary("cosh", lax.cosh, "Hyperbolic cosine", "at.cosh(0.0) -> 1.0", "float")
tanh = _unary("tanh", lax.tanh, "Hyperbolic tangent", "at.tanh([-20.0, 0.0, 20.0]) -> [-1.  0.  1.]", "float")
arcsinh = _unary("arcsinh", lax.asinh, "Inverse hyperbolic sine", "at.arcsinh(0.0) -> 0.0", "float")
arccosh = _unary("arccosh", jnp.arccosh, "Inverse hyperbolic cosine; NaN below 1", "at.arccosh(1.0) -> 0.0", "float")
arctanh = _unary(
    "arctanh", lax.atanh, "Inverse hyperbolic tangent; NaN outside of -1 to 1", "at.arctanh(0.0) -> 0.0", "float"
)
sigmoid = _unary(
    "sigmoid",
    lax.logistic,
    "Logistic function, ``1 / (1 + exp(-x))``",
    "at.sigmoid([-1000.0, 0.0, 1000.0]) -> [0.  0.5 1. ]",
    "float",
)
softplus = _unary(
    "softplus",
    lax_kernels.softplus,
    "``log(1 + exp(x))`` without overflow in between",
    "at.softplus([-1000.0, 1000.0]) -> [   0. 1000.]",
    "float",
    kinds=REAL,
)
relu = _unary(
    "relu",
    lax_kernels.relu,
    "Rectified linear unit, ``maximum(x, 0)``",
    "at.relu([-1.5, 2.0]) -> [0. 2.]",
    kinds=REAL,
    traits=CHEAP,
    derivative="The derivative at 0 is 0.",
)
floor = _unary(
    "floor",
    lax.floor,
    "Largest whole number that is not greater, as a float",
    "at.floor([-1.5, 1.5]) -> [-2.  1.]",
    "float",
    kinds=REAL,
    derivative=STEP,
)
ceil = _unary(
    "ceil",
    lax.ceil,
    "Smallest whole number that is not less, as a float",
    "at.ceil([-1.5, 1.5]) -> [-1.  2.]",
    "float",
    kinds=REAL,
    derivative=STEP,
)
trunc = _unary(
    "trunc",
    jnp.trunc,
    "Whole part, rounded towards zero, as a float",
    "at.trunc([-1.5, 1.5]) -> [-1.  1.]",
    "float",
    kinds=REAL,
    derivative=STEP,
)
rint = _unary(
    "round_half_to_even",
    jnp.rint,
    "Nearest whole number, halves to the even one, as a float",
    "at.rint([0.5, 1.5, 2.5]) -> [0. 2. 2.]",
    "float",
    kinds=REAL,
    derivative=STEP,
)
round_half_away_from_zero = _unary(
    "round_half_away_from_zero",
    _round_half_away,
    "Nearest whole number, halves away from zero, as a float",
    "at.round_half_away_from_zero([0.5, -1.5]) -> [ 1. -2.]",
    "float",
    kinds=REAL,
    derivative=STEP,
)
isnan = _unary(
    "isnan",
    lambda x: lax.ne(x, x),
    "True where ``x`` is NaN",
    "at.isnan([1.0, float('nan')]) -> [False  True]",
    "float",
    "bool",
)
isinf = _unary(
    "isinf",
    jnp.isinf,
    "True where ``x`` is infinite, of either sign",
    "at.isinf([1.0, float('-inf')]) -> [False  True]",
    "float",
    "bool",
)
isfinite = _unary(
    "isfinite",
    jnp.isfinite,
    "True where ``x`` is neither infinite nor NaN",
    "at.isfinite([1.0, float('inf')]) -> [ True False]",
    "float",
    "bool",
)
real = _unary("real", jnp.real, "Real part", "at.real([1 + 2j, 3.0]) -> [1. 3.]", result=real_dtype, traits=CHEAP)
imag = _unary("imag", jnp.imag, "Imaginary part", "at.imag([1 + 2j, 3.0]) -> [2. 0.]", result=real_dtype, traits=CHEAP)
conj = _unary(
    "conj", jnp.conj, "Complex conjugate; of real numbers, ``x`` itself", "at.conj([1 + 2j, 3.0]) -> [1.-2.j 3.-0.j]"
)
angle = _unary(
    "angle",
    jnp.angle,
    "Argument of a complex number, in radians; 0 or pi of a real one",
    "at.angle(2.0) -> 0.0",
    "float",
    real_dtype,
)
complex = _binary(
    "complex",
    lax.complex,
    "Complex number of real part ``x`` and imaginary part ``y``",
    "at.complex([1.0, 2.0], 3.0) -> [1.+3.j 2.+3.j]",
    "float",
    complex_dtype,
    kinds=REAL,
    traits=CHEAP,
)

switch: Select = pointwise(
    "switch",
    lax_kernels.where,
    "Elements of ``x`` where ``condition`` is true (not zero), of ``y`` elsewhere; both are computed",
    "at.switch([True, False], [1, 2], 0) -> [1 0]",
    "branches",
    traits=LINEAR,
    parameters=("condition", "x", "y"),
    derivative="Differentiable in ``x`` and ``y``: each gets the derivative where it is chosen, and zero elsewhere.",
)
where = switch
_clip: Callable[[Any, Any, Any], Variable] = pointwise(
    "clip_between",
    lax_kernels.clip,
    "``x`` limited to the range from ``min`` to ``max``; see `clip`",
    "at.clip([-1, 5, 9], 0, 6) -> [0 5 6]",
    traits=CHEAP,
    parameters=("x", "min", "max"),
    derivative="At a bound the derivative is a half.",
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
    """``x ** y``.

    A whole exponent from -64 to 64 that is given as a number becomes repeated multiplication (`jax.lax.integer_pow`),
    so that derivatives of any order are exact, also at ``x = 0``. Any other exponent goes to `jax.numpy.power`, which
    is differentiable in both arguments where ``x`` is positive. A negative power of an integer is truncated towards
    zero, as its quotient would be: 0, but for those of 1 and -1.

    Parameters
    ----------
    x : array_like
        Numbers of any shape.
    y : array_like
        Numbers of a shape that broadcasts with that of ``x``.

    Returns
    -------
    Variable
        Of the shape that the inputs broadcast to and the common dtype.

    Raises
    ------
    ValueError
        Where the shapes do not broadcast, or a number ``y`` is negative and ``x`` is an integer.
    TypeError
        Where an input is not numeric, or both are booleans.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.pow([1.0, 2.0, 3.0], 2).eval())
    [1. 4. 9.]
    """
    base, y = as_variable(x), as_variable(y)
    exponent = _static_exponent(y, base)
    if exponent is None:
        return _power(base, y)
    if not y.type.weak:
        base = base.astype(operand_dtypes("common", [base.type, y.type])[0])
    if exponent < 0 and base.type.is_integer:
        raise coded(ValueError, "LJ510")("integers have no negative powers; cast x to floats, or write 1 / x ** n")
    return apply(table_op("integer_pow", exponent=exponent), base)[0]


def _static_exponent(exponent: Variable, x: Variable) -> int | None:
    """Exponent as an int, if it is a whole number small enough for repeated multiplication."""
    if not isinstance(exponent, Constant) or exponent.ndim or x.type.weak or x.dtype == "bool":
        return None
    number = exponent.data.item() if exponent.exact is None else exponent.exact
    if isinstance(number, builtins.complex) or not (isinstance(number, int) or x.type.is_float):
        return None
    return int(number) if -64 <= number <= 64 and number == int(number) else None


def _integer_pow_type(type: TensorType, exponent: int) -> TensorType:
    """The type of the base."""
    return type


register("integer_pow", lambda x, exponent: lax.integer_pow(x, exponent), _integer_pow_type, "pointwise", "cheap")


@public_op
def cast(x: Any, dtype: DTypeLike) -> Variable:
    """Conversion of ``x`` to another dtype, as by ``astype``.

    Floats become integers by truncation, integers that do not fit wrap around, and numbers become booleans by
    comparison with 0. Differentiable between float dtypes.

    Parameters
    ----------
    x : array_like
        Numbers or booleans of any shape.
    dtype : dtype_like
        NumPy or JAX dtype, its name, or ``"floatX"``.

    Returns
    -------
    Variable
        Of the shape of ``x`` and dtype ``dtype``; ``x`` itself where it has that dtype already.

    Raises
    ------
    TypeError
        Where ``x`` is not numeric or ``dtype`` is not a dtype, or where ``x`` is complex and ``dtype`` is real.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.cast([1.75, -1.75], "int32").eval())
    [ 1 -1]
    """
    variable, name = as_variable(x), dtype_name(dtype)
    if variable.dtype == name and not variable.type.weak:
        return variable
    if is_complex(variable.dtype) and not is_complex(name) and name != "bool":
        raise coded(TypeError, "LJ510")(
            f"a cast of {variable.dtype} to {name} would drop the imaginary part; write x.real, or abs(x) for the "
            f"modulus"
        )
    if isinstance(variable, Constant):
        value = np.asarray(variable.data if variable.exact is None else variable.exact)
        return Constant(value.astype(jnp.dtype(name)), variable.name)
    return apply(table_op("cast", dtype=name), variable)[0]


def _cast_type(type: TensorType, dtype: str) -> TensorType:
    """The type with another dtype."""
    return type.with_dtype(dtype)


def _cast_run(x: Any, dtype: str) -> Any:
    """Cast as NumPy does: booleans are tests for zero, complex numbers lose their imaginary part."""
    if dtype == "bool" or x.dtype.kind == "c":
        x = x.real if x.dtype.kind == "c" and _kind(dtype) not in "cb" else jnp.asarray(x)
        return jnp.asarray(x).astype(dtype)
    return lax.convert_element_type(x, dtype)


register("cast", _cast_run, _cast_type, "pointwise", *LINEAR)


@public_op
def clip(x: Any, min: Any, max: Any) -> Variable:
    """``x`` limited to the range from ``min`` to ``max``.

    Differentiable in all three; the derivative is zero outside of the range, and a half at its bounds. Where ``min`` is
    greater than ``max``, the result is ``max``.

    Parameters
    ----------
    x : array_like
        Real numbers or booleans of any shape.
    min, max : array_like or None
        Bounds, of shapes that broadcast with that of ``x``; ``None`` for no bound.

    Returns
    -------
    Variable
        Of the shape that the inputs broadcast to and the common dtype.

    Raises
    ------
    TypeError
        Where an input is not numeric.
    ValueError
        Where the shapes do not broadcast, or an input is complex.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.clip([-1.5, 0.5, 2.0], 0, 1).eval())
    [0.  0.5 1. ]
    >>> print(at.clip([-1.5, 0.5, 2.0], None, 1).eval())
    [-1.5  0.5  1. ]
    """
    if min is None:
        return identity(x) if max is None else minimum(x, max)
    return maximum(x, min) if max is None else _clip(x, min, max)


@public_op
def round(x: Any, mode: Literal["half_to_even", "half_away_from_zero"] = "half_to_even") -> Variable:
    """``x`` rounded to whole numbers.

    The derivative is zero.

    Parameters
    ----------
    x : array_like
        Real numbers of any shape.
    mode : {"half_to_even", "half_away_from_zero"}
        Direction of a number halfway between two whole ones: NumPy's, or that of C and of Theano.

    Returns
    -------
    Variable
        Of the shape of ``x`` and its dtype, floatX where that is no float.

    Raises
    ------
    ValueError
        For any other ``mode``.
    TypeError
        Where ``x`` is complex or not numeric.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.round([0.5, 1.5, 2.5]).eval())
    [0. 2. 2.]
    >>> print(at.round([0.5, 1.5, 2.5], mode="half_away_from_zero").eval())
    [1. 2. 3.]
    """
    if mode == "half_to_even":
        return rint(x)
    if mode == "half_away_from_zero":
        return round_half_away_from_zero(x)
    raise coded(ValueError, "LJ901")(f"round mode is 'half_to_even' or 'half_away_from_zero', not {mode!r}")


def _isclose_type(x: TensorType, y: TensorType, rtol: float, atol: float, equal_nan: bool) -> TensorType:
    """Booleans of the shape that the inputs broadcast to."""
    return TensorType("bool", broadcast_shapes(x.shape, y.shape))


def _isclose_run(x: Any, y: Any, rtol: float, atol: float, equal_nan: bool) -> Any:
    """`jax.numpy.isclose`."""
    return jnp.isclose(x, y, rtol, atol, equal_nan)


register("isclose", _isclose_run, _isclose_type, "pointwise", operands="common")


@public_op
def isclose(x: Any, y: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Variable:
    """True where ``abs(x - y) <= atol + rtol * abs(y)``.

    Infinities of one sign are close to each other.

    Parameters
    ----------
    x, y : array_like
        Numbers of shapes that broadcast.
    rtol, atol : float
        Relative and absolute tolerance.
    equal_nan : bool
        True to count two NaNs as close.

    Returns
    -------
    Variable
        Of the shape that the inputs broadcast to and dtype bool.

    Raises
    ------
    TypeError
        Where an input is not numeric.
    ValueError
        Where the shapes do not broadcast.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.isclose([1.0, 1.1], 1.0000001).eval())
    [ True False]
    """
    op = table_op("isclose", rtol=float(rtol), atol=float(atol), equal_nan=bool(equal_nan))
    return apply(op, *promoted("common", [x, y]))[0]
