"""``wrap_jax``: a JAX function as a function of symbolic variables."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import jax
import numpy as np

from loopjax.ir.graph import Variable, apply
from loopjax.ir.jax_call import JaxCall, Static
from loopjax.trace.convert import as_variable


def wrap_jax(fn: Callable[..., Any], *, name: str | None = None) -> Callable[..., Any]:
    """A JAX function as a function of variables.

    ``wrap_jax(fn)(*args, **kwargs)`` takes what ``fn`` takes, pytrees too, with variables in the place of arrays, and
    gives variables in the pytree that ``fn`` returns. NumPy and JAX arrays among the arguments are constants. All other
    leaves (numbers, strings, functions) are handed to ``fn`` as they are and must be hashable.

    ``fn`` is pure and hashable and is traced by JAX with x64 on, so it should spell out the dtypes of what it creates.
    It runs wherever an op does: in loops, in gradients (those that JAX can take of it), on any device. Equal calls of
    one ``fn`` are computed once. Sizes of its results that depend on sizes that are not known yet are not known either,
    and are found when the program is called; the number of results, their dtypes and dimensions may not depend on them.

    Raises ``TypeError``, ``ValueError`` or ``IndexError`` where ``fn`` raises for these types, with the user's line.
    """
    if not callable(fn):
        raise TypeError(f"wrap_jax() takes a function, got {type(fn).__name__}: {fn!r:.80}")
    label = name or str(getattr(fn, "__name__", type(fn).__name__))

    def symbolic(*args: Any, **kwargs: Any) -> Any:
        leaves, tree = jax.tree.flatten((args, kwargs))
        inputs = [as_variable(leaf) for leaf in leaves if _is_array(leaf)]
        statics = tuple(None if _is_array(leaf) else Static(_hashable(leaf, label), repr(leaf)) for leaf in leaves)
        op = JaxCall(fn, tree, statics, label)
        outputs = apply(op, *inputs)
        return jax.tree.unflatten(op.traced(*(variable.type for variable in inputs)).tree, outputs)

    symbolic.__name__ = symbolic.__qualname__ = label
    symbolic.__doc__ = getattr(fn, "__doc__", None)
    return symbolic


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, (Variable, np.ndarray, jax.Array))


def _hashable(leaf: Any, label: str) -> Hashable:
    try:
        hash(leaf)
    except TypeError as error:
        raise TypeError(
            f"{label}: an argument of type {type(leaf).__name__} is neither a variable, an array nor hashable: "
            f"{leaf!r:.80}"
        ) from error
    found: Hashable = leaf
    return found
