"""``wrap_jax``: calls a JAX function inside of a symbolic program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from loopjax.errors import check_callable, check_flag, coded, reported
from loopjax.ir.graph import Variable, apply
from loopjax.ir.jax_call import JaxCall, Static
from loopjax.ir.types import NARROW, x64_is_on
from loopjax.runtime.x64 import is_key
from loopjax.trace.convert import as_variable
from loopjax.trace.shared import shared


@reported
def wrap_jax(fn: Callable[..., Any], *, name: str | None = None, x64: bool | None = None) -> Callable[..., Any]:
    """Return a JAX function as a function of symbolic variables.

    The result takes what ``fn`` takes, pytrees too, with variables in the place of arrays, and returns variables in the
    pytree that ``fn`` returns. NumPy and JAX arrays among the arguments are constants. Random keys may be arguments and
    results: inputs of dtype ``"key"``, ``stream.next_key()``, or typed keys of JAX. All other leaves (numbers,
    strings, functions) are passed to ``fn`` as they are and must be hashable.

    It works wherever an op does: in loops, on any device, and in those derivatives that JAX can take of ``fn``. Equal
    calls are computed once. Sizes of results that depend on sizes that are not known yet are found when the program is
    called; the number of results, their dtypes and numbers of dimensions may not depend on them.

    Parameters
    ----------
    fn : callable
        A pure, hashable function that JAX can trace. It may use collectives over axes that are bound where the program
        runs, by ``jax.shard_map`` or ``jax.vmap(axis_name=...)``.
    name : str, optional
        The name in errors and printed graphs; that of ``fn`` by default.
    x64 : bool, optional
        JAX's flag while ``fn`` is traced, which decides the dtypes of arrays that it creates. By default as it is at
        the call, and on where an argument is of 64 bits.

    Returns
    -------
    callable
        The function of variables. It raises ``TypeError``, ``ValueError`` or ``IndexError``, with the user's line,
        where ``fn`` raises for the types that it is called with.

    Raises
    ------
    TypeError
        ``fn`` is not callable.

    Examples
    --------
    >>> import jax
    >>> import loopjax
    >>> import loopjax.tensor as at
    >>> top_k = loopjax.wrap_jax(jax.lax.top_k)
    >>> x = at.dvector("x")
    >>> values, positions = top_k(x, 2)
    >>> values.eval({x: [3.0, 1.0, 4.0, 2.0]})
    array([4., 3.])
    """
    check_callable("fn", fn, "a function of arrays; write wrap_jax(jnp.sin)(x)", "LJ704")
    check_flag("x64", x64, None)
    label = name or str(getattr(fn, "__name__", type(fn).__name__))

    def symbolic(*args: Any, **kwargs: Any) -> Any:
        leaves, tree = jax.tree.flatten((args, kwargs))
        inputs = [_variable(leaf) for leaf in leaves if _is_array(leaf)]
        statics = tuple(None if _is_array(leaf) else Static(_hashable(leaf, label), repr(leaf)) for leaf in leaves)
        default = x64_is_on() or any(variable.dtype in NARROW for variable in inputs)
        op = JaxCall(fn, tree, statics, label, default if x64 is None else x64)
        outputs = apply(op, *inputs)
        return jax.tree.unflatten(op.traced(*(variable.type for variable in inputs)).tree, outputs)

    symbolic.__name__ = symbolic.__qualname__ = label
    symbolic.__doc__ = getattr(fn, "__doc__", None)
    return reported(symbolic)


def _variable(leaf: Any) -> Variable:
    """An argument as a variable; a random key, which no constant can hold, as state that nothing updates."""
    return shared(leaf) if isinstance(leaf, jax.Array) and is_key(leaf) else as_variable(leaf)


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, (Variable, np.ndarray, jax.Array))


def _hashable(leaf: Any, label: str) -> Any:
    try:
        hash(leaf)
    except TypeError as error:
        raise coded(TypeError, "LJ704")(
            f"{label}: an argument of type {type(leaf).__name__} is neither a variable, an array nor hashable: "
            f"{leaf!r:.80}"
        ) from error
    return leaf
