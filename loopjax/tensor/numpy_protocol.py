"""NumPy's functions on variables, by its protocols ``__array_ufunc__`` and ``__array_function__``.

``np.exp(x)`` and ``array + x`` record the op of the same name. Where there is none, the error names the module to look
in; writing into an array (``array += x``) cannot be recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from loopjax.errors import coded
from loopjax.ir.graph import Variable
from loopjax.ir.public_ops import ops, public_op

__all__: list[str] = []

NAMES = {
    "absolute": "abs",
    "conjugate": "conj",
    "divide": "true_div",
    "fabs": "abs",
    "float_power": "pow",
    "floor_divide": "floor_div",
    "greater": "gt",
    "greater_equal": "ge",
    "less": "lt",
    "less_equal": "le",
    "multiply": "mul",
    "negative": "neg",
    "power": "pow",
    "remainder": "mod",
    "sign": "sgn",
    "square": "sqr",
    "subtract": "sub",
    "bitwise_and": "and_",
    "bitwise_or": "or_",
    "bitwise_xor": "xor",
    "amax": "max",
    "amin": "min",
    "clip": "clip",
}
"""Ops whose names are not NumPy's."""


@public_op
def numpy_ufunc(ufunc: Any, method: str, inputs: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """Record an elementwise function of NumPy."""
    name = str(ufunc.__name__)
    if method != "__call__" or any(value is not None for value in options.values()):
        raise coded(TypeError, "LJ204")(
            f"np.{name} cannot write into an array or fold one where a variable takes part; write x = x + y "
            f"in the place of x += y"
        )
    if name in ("equal", "not_equal"):  # array == x is refused as x == array is
        variable, other = sorted(inputs, key=lambda one: not isinstance(one, Variable))
        return variable == other if name == "equal" else variable != other
    if name == "divmod":
        return ops.floor_div(*inputs), ops.mod(*inputs)
    return _op(name)(*inputs)


@public_op
def numpy_function(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Record a function of NumPy on arrays."""
    return _op(str(function.__name__))(*args, **kwargs)


def _op(name: str) -> Callable[..., Any]:
    found: Callable[..., Any] | None = getattr(ops, NAMES.get(name, name), None)
    if found is None:
        raise coded(TypeError, "LJ704")(
            f"np.{name} takes no symbolic variables; look for its name in loopjax.tensor, or write "
            f"loopjax.wrap_jax(jax.numpy.{name})(x)"
        )
    return found
