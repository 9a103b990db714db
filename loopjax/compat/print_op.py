"""``Print`` of the peers: a value, shown whenever a program computes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax

from loopjax.interop.wrap_jax import wrap_jax
from loopjax.ir.graph import Variable
from loopjax.trace.convert import as_variable


class Print:
    """Prints a value whenever the program computes it, and passes it on.

    Parameters
    ----------
    message
        Text in front of the value.
    attrs
        Names of attributes or methods of a NumPy array whose values are printed.
    global_fn
        A function ``(op, value)`` that prints otherwise.
    """

    def __init__(self, message: str = "", attrs: Sequence[str] = ("__str__",), global_fn: Any = None) -> None:
        self.message, self.attrs, self.global_fn = message, tuple(attrs), global_fn

    def __call__(self, x: Any) -> Variable:
        def show(value: Any) -> None:
            if self.global_fn is not None:
                self.global_fn(self, value)
                return
            for name in self.attrs:
                found = getattr(value, name)
                print(self.message, name, "=", found() if callable(found) else found)

        def passed(value: Any) -> Any:
            jax.debug.callback(show, value)
            return value

        printed: Variable = wrap_jax(passed, name="print", x64=True)(as_variable(x))
        return printed
