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

from loopjax.compat.arrays import broadcast_arrays
from loopjax.compat.host import call_on_host
from loopjax.compat.library import current
from loopjax.compat.rows import result
from loopjax.errors import UnsupportedError, here
from loopjax.interop.to_jax import to_jax
from loopjax.interop.wrap_jax import wrap_jax
from loopjax.ir.graph import Apply as CoreApply
from loopjax.ir.graph import Variable, ancestors
from loopjax.ir.types import TensorType
from loopjax.runtime import function as core
from loopjax.trace.convert import as_variable
from loopjax.trace.jacobian import Lop
from loopjax.trace.promotion import common_dtype
from loopjax.trace.substitute import clone_replace


class _NodeKind(type):
    """The type of ``Apply``: the core's nodes are instances of ``Apply`` too, since programs walk graphs by it."""

    def __instancecheck__(cls, node: object) -> bool:
        return isinstance(node, CoreApply) or super().__instancecheck__(node)


class Apply(metaclass=_NodeKind):
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

    def _props(self) -> tuple[Any, ...]:
        """Return the values of ``__props__``."""
        return tuple(getattr(self, name) for name in self.__props__)

    def _props_dict(self) -> dict[str, Any]:
        """Return the values of ``__props__`` by name."""
        return dict(zip(self.__props__, self._props(), strict=True))

    def _key(self) -> tuple[Any, ...]:
        return (type(self), *self._props())

    def __eq__(self, other: object) -> bool:
        if not self.__props__ or not isinstance(other, Op):
            return self is other
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key()) if self.__props__ else id(self)

    def __repr__(self) -> str:
        properties = ", ".join(f"{name}={value!r}" for name, value in self._props_dict().items())
        return f"{type(self).__name__}{{{properties}}}"


class ViewOp(Op):
    """Passes its input on. Programs subclass it for another gradient: ``grad(inputs, output_gradients)``."""

    def make_node(self, x: Any) -> Apply:
        """Return a node whose output is like its input."""
        variable = as_variable(x)
        return Apply(self, [variable], [variable.type()])

    def grad(self, inputs: Sequence[Variable], output_gradients: Sequence[Any]) -> Sequence[Any]:
        """Return the gradient of the identity."""
        return output_gradients


class ScalarOp(Op):
    """Base class of custom elementwise ops: a subclass has ``impl(*numbers)``, and ``grad`` as an `Op` has.

    Parameters
    ----------
    output_types_preference
        A function of the types of the inputs that returns the list of the type of the result; without it, the result
        has the common dtype of the inputs.
    name
        The name of the op.
    """

    output_types_preference: Any = None

    def __init__(self, output_types_preference: Any = None, name: str | None = None) -> None:
        self.name = name
        if output_types_preference is not None:
            self.output_types_preference = output_types_preference

    def make_node(self, *inputs: Any) -> Apply:
        """Return a node on the inputs, brought to one shape and dtype."""
        values = [as_variable(value) for value in inputs]
        dtype = common_dtype([value.type for value in values])
        given = [value.astype(dtype) for value in (broadcast_arrays(*values) if len(values) > 1 else values)]
        prefers = self.output_types_preference
        to = dtype if prefers is None else prefers(*(value.type for value in given))[0].dtype
        return Apply(self, given, [TensorType(to, given[0].type.shape)()])

    def infer_shape(self, fgraph: Any, node: Any, shapes: Any) -> Any:
        """Return the shape of the first input."""
        return shapes[:1]

    def impl(self, *numbers: Any) -> Any:
        """Compute the result for numbers."""
        raise UnsupportedError(f"{type(self).__name__} has no impl(self, *numbers); C code is not compiled here")

    def perform(self, node: Any, inputs: Any, output_storage: Any, params: Any = None) -> None:
        """Apply ``impl`` to each element."""
        output_storage[0][0] = np.vectorize(self.impl, otypes=[node.outputs[0].dtype])(*inputs)


def upgrade_to_float(*types: Any) -> list[TensorType]:
    """Return the type of the result of an op that makes floats of integers."""
    dtype = common_dtype(list(types))
    small = np.dtype(dtype).itemsize <= 2
    return [TensorType(dtype if _is_float(dtype) else "float32" if small else "float64")]


def same_out(*types: Any) -> list[TensorType]:
    """Return the type of the result of an op that keeps the common dtype."""
    return [TensorType(common_dtype(list(types)))]


class ElemwiseOp:
    """Base class of ``Elemwise``: a subclass may have another gradient than its scalar op.

    Parameters
    ----------
    scalar_op
        A `ScalarOp`, or an elementwise function.
    """

    def __init__(self, scalar_op: Any, *args: Any, **options: Any) -> None:
        self.scalar_op = scalar_op

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        values = [as_variable(value) for value in inputs]
        gradient = _symbolic_gradient(self)
        if gradient is None:
            return self.scalar_op(*values)
        given = list(broadcast_arrays(*values)) if len(values) > 1 else values
        xs = [value.type() for value in given]
        return OpFromGraph(xs, [self.scalar_op(*xs)], lop_overrides=gradient)(*given)


class DisconnectedType:
    """The type of a gradient that is not there; an instance is called to make one."""

    dtype, ndim = "float64", 0

    def __call__(self, name: str | None = None) -> Disconnected:
        return Disconnected()


class Disconnected:
    """A gradient that is not there: ``isinstance(gradient.type, DisconnectedType)`` is true of it."""

    type, name, owner = DisconnectedType(), None, None


def grad_undefined(op: Any, position: int, variable: Any, comment: str = "") -> Any:
    """Return the gradient with respect to an input that has none: zeros."""
    return None


grad_not_implemented = grad_undefined


def _recorded(op: Op, made: Apply) -> Sequence[Variable]:
    """Record the node of a custom op and return its outputs."""
    types = [variable.type for variable in made.outputs]
    forward = (lambda *arrays: arrays) if isinstance(op, ViewOp) else _on_host(op, made, types)
    return differentiable(repr(op), made.inputs, forward, _symbolic_gradient(op))


Gradient = Callable[[list[Variable], list[Variable], list[Any]], Sequence[Any]]
"""From symbolic inputs, outputs and gradients of outputs to gradients of inputs; ``None`` where there is none."""


def differentiable(
    name: str, inputs: Sequence[Variable], forward: Callable[..., Any], gradient: Gradient | None
) -> Sequence[Variable]:
    """Record a JAX function of arrays whose derivative is written symbolically; it returns a tuple."""
    kinds = [variable.type.strong() for variable in inputs]
    run = jax.custom_vjp(forward)

    def keep(*arrays: Any) -> Any:
        results = run(*arrays)  # a derivative of this derivative finds the same rule
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
    return list(wrap_jax(run, name=name, x64=True)(*inputs))


class _Backward:
    """A compiled symbolic gradient: ``given`` says which inputs have one."""

    def __init__(self, gradient: Gradient, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> None:
        xs, ys = [kind() for kind in inputs], [kind() for kind in outputs]
        gs = [kind() for kind in outputs if _is_float(kind.dtype)]
        every = iter(gs)
        slopes = gradient(xs, ys, [next(every) if y.type.is_float else Disconnected() for y in ys])
        slopes = list(slopes) if isinstance(slopes, (list, tuple)) else [slopes]
        slopes = [None if isinstance(slope, Disconnected) else slope for slope in slopes]
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
        return tuple(call_on_host(perform, results, *arrays))

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


def _symbolic_gradient(op: Any) -> Gradient | None:
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


def _is_default(override: Any) -> bool:
    """Test if a gradient is left to the graph: ``"default"``, or ``None``."""
    return override is None or (isinstance(override, str) and override == "default")


def _override(override: Any, without_outputs: bool) -> Any:
    """Return a user's gradient as a function of inputs, outputs and gradients of outputs."""
    if isinstance(override, Disconnected):
        return lambda xs, ys, slopes: override
    if not callable(override):
        raise TypeError(
            f"a gradient of OpFromGraph is a function, an OpFromGraph or 'default', got {override!r:.80}{here()}"
        )
    function = current().recording(override.__call__ if isinstance(override, OpFromGraph) else override)
    if isinstance(override, OpFromGraph):
        spread = function
        function = lambda *lists: spread(*(one for given in lists for one in given), return_list=True)  # noqa: E731
    return (lambda xs, ys, slopes: function(xs, slopes)) if without_outputs else function


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
        (``grad_overrides`` without the outputs) that returns a list, an ``OpFromGraph`` of these, or a list with a
        function of them for each input; ``"default"`` (PyTensor's ``None``) keeps the graph's.
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

    def _read(self, overrides: Any, without_outputs: bool) -> Gradient | None:
        """Return the gradient with respect to all inputs; ``None`` for that of the graph."""
        if _is_default(overrides):
            return None
        if not isinstance(overrides, (list, tuple)):
            return _override(overrides, without_outputs)
        if len(overrides) != len(self.inputs):
            raise ValueError(
                f"OpFromGraph has {len(self.inputs)} inputs and {len(overrides)} gradients; the list has a function, "
                f"or 'default', for each input{here()}"
            )
        chosen = [None if _is_default(one) else _override(one, without_outputs) for one in overrides]

        def gradient(xs: list[Variable], ys: list[Variable], slopes: list[Variable]) -> list[Any]:
            asked = [x for x, one in zip(xs, chosen, strict=True) if one is None and x.type.is_float]
            default = dict(zip(asked, self._gradient_of_graph(asked, xs, slopes), strict=True))
            return [default.get(x) if one is None else one(xs, ys, slopes) for x, one in zip(xs, chosen, strict=True)]

        return gradient

    def _on(self, values: Sequence[Variable]) -> list[Variable]:
        """Return the outputs of the graph on other inputs; some may be unused."""
        used = set(ancestors(self.outputs, self.inputs))
        replaced = {one: value for one, value in zip(self.inputs, values, strict=True) if one in used}
        return list(clone_replace(self.outputs, replaced))

    def _gradient_of_graph(self, wrt: Sequence[Variable], xs: Sequence[Variable], slopes: Sequence[Any]) -> Any:
        """Return the gradients that the graph itself gives, for some of its inputs."""
        outputs = self._on(xs)
        pairs = [(y, slope) for y, slope in zip(outputs, slopes, strict=True) if isinstance(slope, Variable)]
        if not wrt or not pairs:
            return [None] * len(wrt)
        return Lop([y for y, _ in pairs], list(wrt), [slope for _, slope in pairs], disconnected_inputs="ignore")

    def __call__(self, *given: Any, return_list: bool = False) -> Any:
        if len(given) != len(self.inputs):
            raise ValueError(f"OpFromGraph takes {len(self.inputs)} inputs, got {len(given)}{here()}")
        values = [as_variable(value) for value in given]
        if self._gradient is None:
            outputs = self._on(values)
        else:
            run = to_jax(self.inputs, self.outputs, on_unused_input="ignore", keep_x64=True)
            outputs = list(
                differentiable(self.name or "OpFromGraph", values, lambda *xs: tuple(run(*xs)), self._gradient)
            )
        return outputs if return_list or len(outputs) > 1 else outputs[0]
