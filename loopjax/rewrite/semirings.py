"""Semirings: pairs of ops where the second distributes over the first, ``a * (x + y) = a * x + a * y``.

Linear recurrences run as parallel scans in each of them; ``max`` and ``+``, for example, is the arithmetic of Viterbi's
algorithm, and ``logaddexp`` and ``+`` that of the forward algorithm.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np

from loopjax.ir.graph import Constant
from loopjax.ir.monoid import element


@dataclass(frozen=True)
class Semiring:
    """A semiring of arrays.

    Attributes
    ----------
    plus, times
        Ops of the table.
    kinds
        NumPy's letters for the dtypes that it has.
    zero, one
        The identity elements of ``plus`` and ``times``, by name.
    inverse
        The op that undoes ``times`` by a second operand, if there is one.
    is_exact
        Floats are not rounded.
    overflows
        Intermediate values of integers may leave the range though no state does.
    """

    plus: str
    times: str
    kinds: str
    zero: str
    one: str
    inverse: str = ""
    is_exact: bool = False
    overflows: bool = False

    def takes(self, dtype: str) -> bool:
        return ("f" if jnp.issubdtype(dtype, jnp.floating) else np.dtype(dtype).kind) in self.kinds

    def constant(self, element: str, dtype: str) -> Constant | None:
        """``zero`` or ``one`` as a constant; ``None`` where the dtype has no such value."""
        value = _VALUES[element](jnp.dtype(dtype))
        return None if value is None else Constant(np.asarray(value, jnp.dtype(dtype)))


def _float_infinity(sign: int) -> Any:
    return lambda dtype: sign * np.inf if jnp.issubdtype(dtype, jnp.floating) else None


_VALUES: dict[str, Any] = {
    "0": lambda dtype: 0,
    "1": lambda dtype: 1,
    "all ones": lambda dtype: True if dtype == np.bool_ else np.iinfo(dtype).max if dtype.kind == "u" else -1,
    "least": partial(element, "least"),
    "most": partial(element, "greatest"),
    "-inf": _float_infinity(-1),
    "inf": _float_infinity(1),
}

SEMIRINGS = (
    Semiring("add", "mul", "iufc", "0", "1", inverse="true_div"),
    Semiring("maximum", "minimum", "biuf", "least", "most", is_exact=True),
    Semiring("or_", "and_", "biu", "0", "all ones"),
    Semiring("logical_or", "logical_and", "b", "0", "all ones"),
    Semiring("xor", "and_", "biu", "0", "all ones"),
    Semiring("logical_xor", "logical_and", "b", "0", "all ones"),
    Semiring("maximum", "add", "iuf", "-inf", "0", inverse="sub", overflows=True),
    Semiring("minimum", "add", "iuf", "inf", "0", inverse="sub", overflows=True),
    Semiring("logaddexp", "add", "f", "-inf", "0", inverse="sub"),
)
"""Semirings in the order in which they are tried: exact ones, and those that compute less, first."""
