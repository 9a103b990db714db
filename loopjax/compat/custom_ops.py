"""Ops of the user's own: an ``Op`` with ``perform`` runs on the host (``jax.pure_callback``) in the compiled program.

``make_node`` says the types of the results, ``infer_shape`` their shapes; without it, ``perform`` is tried once on ones
for each set of input shapes. The derivative is what ``grad`` (or ``L_op``) writes symbolically; ``OpFromGraph`` is an
op whose work is a graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import jax
import numpy as np

from loopjax.compat.library import current
from loopjax.compat.rows import result
from loopjax.errors import UnsupportedError, here
from loopjax.interop.to_jax import to_jax
from loopjax.interop.wrap_jax import wrap_jax
from loopjax.ir.graph import Variable
from loopjax.ir.types import TensorType
from loopjax.runtime import function as core
from loopjax.trace.convert import as_variable
from loopjax.trace.substitute import clone_replace


class Apply:
    """A use of a custom op: its inputs and variables of the types of its outputs."""

    def __init__(self, op: Any, inputs: Sequence[Any], outputs: Sequence[Variable]) -> None:
        self.op = op
        self.inputs = [as_variable(variable) for variable in inputs]
        self.outputs = list(outputs)


class Op:
    """Base class of custom ops.

    A subclass has ``make_node(*inputs)``, or the lists ``itypes`` and ``otypes``, and ``perform(node, inputs,
    outputs)``; it may have ``grad(inputs, output_gradients)`` and ``infer_shape(fgraph, node, shapes)``.
    """

    __props__: tuple[str, ...] = ()
    itypes: Sequence[Any] = ()
    otypes: Sequence[Any] = ()
    default_output: int | None = None

    def make_node(self, *inputs: Any) -> Apply:
        """Return a node on these inputs; from ``itypes`` and ``otypes`` unless a subclass defines it."""
        if not self.otypes:
            raise NotImplementedError(f"{type(self).__name__} needs a make_node, or itypes and otypes")
        given = [as_variable(value) for value in inputs]
        if len(given) != len(self.itypes):
            raise ValueError(f"{self} takes {len(self.itypes)} inputs, got {len(given)}{here()}")
        cast = [one.astype(kind.dtype) for one, kind in zip(given, self.itypes, strict=True)]
        return Apply(self, cast, [kind() for kind in self.otypes])

    def perform(self, node: Any, inputs: Any, output_storage: Any, params: Any = None) -> None:
        """Compute arrays of ``inputs`` and store them as ``output_storage[i][0]``."""
        raise UnsupportedError(f"{type(self).__name__} has no perform; LoopJAX compiles no C code of custom ops")

    def __call__(self, *inputs: Any, return_list: bool = False, name: str | None = None, **options: Any) -> Any:
        made = self.make_node(*inputs, **options)
        outputs = list(_recorded(self, made))
        if name is not None and len(outputs) == 1:
            outputs[0].name = name
        if return_list:
            return outputs
        if self.default_output is not None:
            return outputs[self.default_output]
        return outputs[0] if len(outputs) == 1 else outputs

    def _key(self) -> tuple[Any, ...]:
        return (type(self), *(getattr(self, name) for name in self.__props__))

    def __eq__(self, other: object) -> bool:
        if not self.__props__ or not isinstance(other, Op):
            return self is other
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key()) if self.__props__ else id(self)

    def __repr__(self) -> str:
        properties = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__props__)
        return f"{type(self).__name__}{{{properties}}}"


class DisconnectedType:
    """The type of a gradient that is not there; an instance is called to make one."""

    dtype, ndim = "float64", 0

    def __call__(self, name: str | None = None) -> None:
        return None


def grad_undefined(op: Any, position: int, variable: Any, comment: str = "") -> Any:
    """Return the gradient with respect to an input that has none: zeros."""
    return None


grad_not_implemented = grad_undefined


def _recorded(op: Op, made: Apply) -> Sequence[Variable]:
    """Record the node of a custom op and return its outputs."""
    types = [variable.type for variable in made.outputs]
    return differentiable(repr(op), made.inputs, _on_host(op, made, types), _symbolic_gradient(op, made))


Gradient = Callable[[list[Variable], list[Variable], list[Variable]], Sequence[Any]]
"""From symbolic inputs, outputs and gradients of outputs to gradients of inputs, ``None`` where there is none."""


def differentiable(
    name: str, inputs: Sequence[Variable], forward: Callable[..., Any], gradient: Gradient | None
) -> Sequence[Variable]:
    """Record a JAX function of arrays whose derivative is written symbolically; it returns a tuple."""
    kinds = [variable.type.strong() for variable in inputs]
    run = jax.custom_vjp(forward)

    def keep(*arrays: Any) -> Any:
        results = forward(*arrays)
        return results, (arrays, results)

    def pull(residuals: Any, cotangents: Any) -> Any:
        arrays, results = residuals
        if gradient is None:
            raise UnsupportedError(f"{name} has no grad; define grad(inputs, output_gradients)")
        backward = _compiled_gradient(gradient, kinds, [TensorType(str(r.dtype), r.shape) for r in results])
        floats = [c for c, r in zip(cotangents, results, strict=True) if _is_float(r.dtype)]
        found = iter(backward.call(*arrays, *results, *floats))
        return tuple(
            (next(found) if given else np.zeros(array.shape, array.dtype)) if _is_float(array.dtype) else None
            for given, array in zip(backward.given, arrays, strict=True)
        )

    run.defvjp(keep, pull)
    run.__name__ = name  # type: ignore[attr-defined]
    return list(wrap_jax(run, name=name)(*inputs))


class _Backward:
    """A compiled symbolic gradient: ``given`` says which inputs have one."""

    def __init__(self, gradient: Gradient, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> None:
        xs, ys = [kind() for kind in inputs], [kind() for kind in outputs]
        gs = [kind() for kind in outputs if _is_float(kind.dtype)]
        every = iter(gs)
        slopes = gradient(xs, ys, [next(every) if y.type.is_float else None for y in ys])  # type: ignore[misc]
        slopes = list(slopes) if isinstance(slopes, (list, tuple)) else [slopes]
        self.given = [slope is not None for slope in slopes]
        kept = [
            as_variable(slope).astype(x.dtype)
            for slope, x in zip(slopes, xs, strict=True)
            if slope is not None and x.type.is_float
        ]
        self.given = [slope is not None and x.type.is_float for slope, x in zip(slopes, xs, strict=True)]
        self.call = to_jax([*xs, *ys, *gs], kept, on_unused_input="ignore", keep_x64=True)


def _compiled_gradient(gradient: Gradient, inputs: Sequence[Any], outputs: Sequence[Any]) -> _Backward:
    return _Backward(gradient, inputs, outputs)


def _is_float(dtype: Any) -> bool:
    return bool(jax.numpy.issubdtype(dtype, jax.numpy.inexact))


def _on_host(op: Op, made: Apply, types: Sequence[TensorType]) -> Callable[..., Any]:
    """Return a JAX function that runs ``perform`` on the host."""

    def perform(*arrays: Any) -> tuple[Any, ...]:
        storage: list[list[Any]] = [[None] for _ in types]
        op.perform(made, [np.asarray(array) for array in arrays], storage)
        return tuple(np.asarray(cell[0], kind.dtype) for cell, kind in zip(storage, types, strict=True))

    @cache
    def shapes(*given: tuple[int, ...]) -> list[tuple[int, ...]]:
        if hasattr(op, "infer_shape"):
            return _inferred(op, made, given)
        ones = [np.ones(shape, one.dtype) for shape, one in zip(given, made.inputs, strict=True)]
        return [result.shape for result in perform(*ones)]

    def forward(*arrays: Any) -> Any:
        found = shapes(*(tuple(array.shape) for array in arrays))
        results = tuple(result(shape, kind.dtype) for shape, kind in zip(found, types, strict=True))
        return tuple(jax.pure_callback(perform, results, *arrays, vmap_method="sequential"))

    return forward


def _inferred(op: Any, made: Apply, given: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Return the shapes that ``infer_shape`` computes; it takes ``(fgraph, node, shapes)`` or ``(node, shapes)``."""
    sizes = [tuple(as_variable(np.int64(size)) for size in shape) for shape in given]
    try:
        found = op.infer_shape(None, made, sizes)
    except TypeError:
        found = op.infer_shape(made, sizes)
    with jax.ensure_compile_time_eval():
        return [tuple(int(np.asarray(core.evaluate(as_variable(size)))) for size in shape) for shape in found]


def _symbolic_gradient(op: Any, made: Apply) -> Gradient | None:
    """Return the gradient that an op writes by ``L_op``, ``pullback`` or ``grad``."""
    for name in ("L_op", "pullback"):
        if hasattr(op, name):
            return current().recording(getattr(op, name))
    if hasattr(op, "grad"):
        return current().recording(lambda inputs, outputs, slopes: op.grad(inputs, slopes))
    return None


def as_op(itypes: Any, otypes: Any, infer_shape: Any = None) -> Callable[[Callable[..., Any]], Op]:
    """Decorator that makes an op of a function of NumPy arrays, without a derivative."""
    inputs = list(itypes) if isinstance(itypes, (list, tuple)) else [itypes]
    outputs = list(otypes) if isinstance(otypes, (list, tuple)) else [otypes]

    def make(function: Callable[..., Any]) -> Op:
        def perform(self: Op, node: Any, given: Any, storage: Any) -> None:
            found = function(*given)
            for cell, value in zip(storage, found if isinstance(found, (list, tuple)) else [found], strict=True):
                cell[0] = value

        members: dict[str, Any] = {"itypes": inputs, "otypes": outputs, "perform": perform}
        if infer_shape is not None:
            members["infer_shape"] = lambda self, fgraph, node, shapes: infer_shape(fgraph, node, shapes)
        made: Op = type(function.__name__, (Op,), members)()
        return made

    return make


wrap_py = as_op


class OpFromGraph:
    """An op whose work is a graph: called with variables, it records that graph on them.

    Parameters
    ----------
    inputs, outputs
        The graph.
    inline, name, strict
        Accepted for old programs.
    grad_overrides, lop_overrides, pullback
        The gradient, in the place of that of the graph: a function of inputs, outputs and gradients of outputs
        (``grad_overrides`` without the outputs), or a list with a function or ``None`` for each input.
    """

    def __init__(
        self,
        inputs: Sequence[Variable],
        outputs: Sequence[Variable],
        inline: bool = False,
        lop_overrides: Any = None,
        grad_overrides: Any = None,
        rop_overrides: Any = None,
        *,
        pullback: Any = None,
        name: str | None = None,
        **options: Any,
    ) -> None:
        self.inputs, self.outputs, self.name = list(inputs), list(outputs), name
        overrides = lop_overrides if lop_overrides is not None else pullback
        self._gradient = self._read(overrides if overrides is not None else grad_overrides, overrides is None)

    @staticmethod
    def _read(overrides: Any, without_outputs: bool) -> Gradient | None:
        if overrides is None or overrides == "default":
            return None
        if callable(overrides):
            return current().recording((lambda x, y, g: overrides(x, g)) if without_outputs else overrides)
        raise UnsupportedError("OpFromGraph takes one function for the gradient of all inputs, not a list of them")

    def __call__(self, *given: Any, return_list: bool = False) -> Any:
        if len(given) != len(self.inputs):
            raise ValueError(f"OpFromGraph takes {len(self.inputs)} inputs, got {len(given)}{here()}")
        values = [as_variable(value) for value in given]
        if self._gradient is None:
            outputs = list(clone_replace(self.outputs, dict(zip(self.inputs, values, strict=True))))
        else:
            run = to_jax(self.inputs, self.outputs, on_unused_input="ignore", keep_x64=True)
            outputs = list(
                differentiable(self.name or "OpFromGraph", values, lambda *xs: tuple(run(*xs)), self._gradient)
            )
        return outputs if return_list or len(outputs) > 1 else outputs[0]
