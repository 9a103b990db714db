"""``associative_scan``: a parallel scan by an associative operator of the user's (``jax.lax.associative_scan``).

The operator is recorded for two elements, as ``fn`` of a loop is for one step, and becomes a function of JAX, which is
batched over the elements that are combined at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
from jax import lax

from loopjax.errors import UnsupportedError, about, check_callable, check_integer, coded, here, reported, source_of
from loopjax.interop.to_jax import JaxFunction, to_jax
from loopjax.ir.graph import Variable, apply
from loopjax.ir.jax_call import JaxCall, Traced
from loopjax.ir.types import TensorType
from loopjax.trace.convert import as_variable
from loopjax.trace.pytrees import is_iterator, shown
from loopjax.trace.recording import recording
from loopjax.trace.region import close_region


@reported
def associative_scan(
    fn: Callable[[Any, Any], Any], elems: Any, *, reverse: bool = False, axis: int = 0, name: str | None = None
) -> Any:
    """Computes all prefixes of a sequence by an associative operator, in logarithmically many parallel steps.

    Element ``i`` of the result is ``fn(fn(fn(elems[0], elems[1]), ...), elems[i])``, as of ``jax.lax.associative_scan``
    and in an order of its own: ``fn(fn(a, b), c)`` and ``fn(a, fn(b, c))`` must be equal, but for rounding. All
    derivatives work. On a CPU ``scan`` is often faster.

    Parameters
    ----------
    fn : callable
        Takes two elements in the structure of ``elems``, without the axis, and returns one of the same types. It may
        use variables from outside, and cannot draw random numbers.
    elems : Variable, array_like or pytree of them
        The elements, ``n`` of them along ``axis`` of each array.
    reverse : bool, default False
        Combines from the last element to the first: the last element of the result is ``elems[-1]``.
    axis : int, default 0
        The axis, of each array; from the end of the first one where it is negative.
    name : str, optional
        The name in errors and printed graphs; that of ``fn`` by default.

    Returns
    -------
    Variable or pytree of them
        The prefixes, of the types of ``elems``.

    Raises
    ------
    TypeError, ValueError
        ``fn`` returns another structure or other types, or an array has not the axis.
    UnsupportedError
        ``fn`` draws random numbers.

    Examples
    --------
    >>> import loopjax
    >>> import loopjax.tensor as at
    >>> a, b = at.dvector("a"), at.dvector("b")
    >>> _, h = loopjax.associative_scan(lambda x, y: (y[0] * x[0], y[0] * x[1] + y[1]), (a, b))
    >>> loopjax.function([a, b], h)([2.0, 2.0, 2.0], [1.0, 1.0, 1.0])
    array([1., 3., 7.])
    """
    check_callable("fn", fn, "an associative operator of two elements; write associative_scan(at.add, x)")
    check_integer("axis", axis)
    label = name or str(getattr(fn, "__name__", type(fn).__name__))
    leaves, tree = jax.tree.flatten(elems, is_leaf=is_iterator)
    if not leaves:
        raise TypeError(f"{label}: elems is {elems!r:.80}; expected an array or a pytree of arrays, pass one{here()}")
    with about(f"{label}: elems"):
        arrays = [as_variable(leaf) for leaf in leaves]
    with about(label):
        types = [_without(axis, variable) for variable in arrays]
        axis %= arrays[0].ndim
        pairs = [[Variable(one, name=f"{side}{place}") for place, one in enumerate(types)] for side in "ab"]
        with recording() as body:
            result = fn(*(jax.tree.unflatten(tree, pair) for pair in pairs))
        if body.keys:
            raise UnsupportedError(
                f"fn{source_of(fn)} draws random numbers; draw before, and pass them in elems{here()}"
            )
        found, structure = jax.tree.flatten(result, is_leaf=is_iterator)
        if structure != tree:  # type: ignore[operator]
            raise TypeError(f"fn{source_of(fn)} returns {shown(structure)}; expected {shown(tree)}, as elems{here()}")
        combined = [as_variable(leaf) for leaf in found]
        for variable, wanted in zip(combined, types, strict=True):
            if (variable.dtype, variable.ndim) != (wanted.dtype, wanted.ndim):
                raise coded(TypeError, "LJ510")(
                    f"fn{source_of(fn)} returns {variable.type}; expected {wanted}, as an element is; cast the "
                    f"result, or elems before{here()}"
                )
        region, captured = close_region(combined, [*pairs[0], *pairs[1]], body.first)
    combine = to_jax(list(region.inputs), list(region.outputs), name=label, on_unused_input="ignore")
    call = _Prefixes(combine, len(arrays), reverse, axis)
    inputs = [*arrays, *captured]
    op = AssociativeScan(call, jax.tree.structure((tuple(inputs), {})), (None,) * len(inputs), label, x64=True)
    return jax.tree.unflatten(tree, apply(op, *inputs))


@dataclass(frozen=True)
class _Prefixes:
    """The scan as a function of JAX: of ``count`` arrays of elements, and what the operator reads besides."""

    combine: JaxFunction
    count: int
    reverse: bool
    axis: int

    def __call__(self, *arrays: Any) -> Any:
        elements, others = list(arrays[: self.count]), arrays[self.count :]
        batched = jax.vmap(lambda a, b: self.combine(*a, *b, *others), self.axis, self.axis)
        return lax.associative_scan(batched, elements, self.reverse, self.axis)


@dataclass(frozen=True)
class AssociativeScan(JaxCall):
    """A call of a scan, whose results have the types of the elements."""

    fn: _Prefixes

    def traced(self, *types: TensorType) -> Traced:
        """Return the types of the results."""
        return super().traced(*types) if all(type.concrete for type in types) else Traced(types[: self.fn.count], None)


def _without(axis: int, elements: Variable) -> TensorType:
    """The type of one element."""
    if not -elements.ndim <= axis < elements.ndim:
        raise coded(ValueError, "LJ505")(
            f"elems have {elements!r}; expected an array with axis {axis}, give another axis{here()}"
        )
    shape = list(elements.type.shape)
    del shape[axis]
    return TensorType(elements.dtype, tuple(shape))
