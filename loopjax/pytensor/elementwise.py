"""Elementwise ops, by a table of scalar ops, and reductions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytensor.scalar.basic as scalar
from pytensor.graph.basic import Apply
from pytensor.scalar.loop import ScalarLoop
from pytensor.tensor.elemwise import CAReduce, DimShuffle, Elemwise
from pytensor.tensor.math import Argmax
from pytensor.tensor.special import LogSoftmax, Softmax

import loopjax.tensor as at
from loopjax.ir.public_ops import ops
from loopjax.pytensor.conversion import Conversion, of_type, rule
from loopjax.trace.scan import scan
from loopjax.trace.step_results import until


def _folded(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def fold(first: Any, *others: Any) -> Any:
        for other in others:
            first = function(first, other)
        return first

    return fold


ARITHMETIC: dict[str, Callable[..., Any]] = {
    "Add": _folded(at.add),
    "Mul": _folded(at.mul),
    "Sub": at.sub,
    "TrueDiv": at.true_div,
    "IntDiv": at.floor_div,
    "Mod": at.mod,
    "Pow": at.pow,
    "Maximum": _folded(at.maximum),
    "Minimum": _folded(at.minimum),
    "OR": at.or_,
    "AND": at.and_,
    "XOR": at.xor,
    "Invert": at.invert,
    "Clip": at.clip,
    "Identity": lambda x: x,
    "Abs": abs,
    "Sign": at.sign,
    "Ceil": at.ceil,
    "Floor": at.floor,
    "Trunc": at.trunc,
    "RoundHalfToEven": lambda x: ops.round_half_to_even(x),
    "RoundHalfAwayFromZero": lambda x: ops.round_half_away_from_zero(x),
    "Neg": at.neg,
    "Reciprocal": at.reciprocal,
    "Log": at.log,
    "Log2": at.log2,
    "Log10": at.log10,
    "Log1p": at.log1p,
    "Exp": at.exp,
    "Exp2": at.exp2,
    "Expm1": at.expm1,
    "Sqr": at.sqr,
    "Sqrt": at.sqrt,
    "Cos": at.cos,
    "ArcCos": at.arccos,
    "Sin": at.sin,
    "ArcSin": at.arcsin,
    "Tan": at.tan,
    "ArcTan": at.arctan,
    "ArcTan2": at.arctan2,
    "Cosh": at.cosh,
    "ArcCosh": at.arccosh,
    "Sinh": at.sinh,
    "ArcSinh": at.arcsinh,
    "Tanh": at.tanh,
    "ArcTanh": at.arctanh,
    "Conj": at.conj,
    "Erf": at.erf,
    "Erfc": at.erfc,
    "Erfinv": at.erfinv,
    "GammaLn": at.gammaln,
    "Gamma": at.gamma,
    "Psi": at.psi,
    "GammaInc": at.gammainc,
    "GammaIncC": at.gammaincc,
    "BetaInc": at.betainc,
    "I0": at.i0,
    "I1": at.i1,
    "Sigmoid": at.sigmoid,
    "Softplus": at.softplus,
    "Log1mexp": at.log1mexp,
}
"""Scalar ops whose operands are cast to the dtype of the result first."""

COMPARISONS: dict[str, Callable[..., Any]] = {
    "LT": at.lt,
    "GT": at.gt,
    "LE": at.le,
    "GE": at.ge,
    "EQ": at.eq,
    "NEQ": at.neq,
    "IsNan": at.isnan,
    "IsInf": at.isinf,
}
"""Scalar ops whose operands are cast to their common dtype."""


def apply_scalar(conversion: Conversion, node: Apply, op: Any, args: Sequence[Any]) -> Any:
    """Apply a scalar op to arrays; ``NotImplemented`` where it has no rule. ``node`` gives the types of its outputs."""
    name, dtype = type(op).__name__, node.outputs[0].type.dtype
    if name in ARITHMETIC:
        return of_type(
            ARITHMETIC[name](*[at.cast(one, dtype) if one.dtype != dtype else one for one in args]), node.outputs[0]
        )
    if name in COMPARISONS:
        common = str(np.result_type(*[one.dtype for one in args]))
        return COMPARISONS[name](*[at.cast(one, common) if one.dtype != common else one for one in args])
    if isinstance(op, scalar.Cast):
        return at.cast(args[0], dtype)
    if isinstance(op, scalar.Second):
        return at.second(args[0], of_type(args[1], node.outputs[0]))
    if isinstance(op, scalar.Switch):
        condition = args[0] if args[0].dtype == "bool" else at.neq(args[0], at.zeros((), args[0].dtype))
        return at.switch(condition, *[of_type(one, node.outputs[0]) for one in args[1:]])
    if isinstance(op, scalar.Real):
        return at.real(args[0])
    if isinstance(op, scalar.Imag):
        return at.imag(args[0])
    if isinstance(op, scalar.Composite):
        return conversion.inner(op.fgraph.inputs, args, op.fgraph.outputs)
    if isinstance(op, ScalarLoop):
        return _scalar_loop(conversion, op, args)
    return NotImplemented


@rule(Elemwise)
def _elemwise(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    return apply_scalar(conversion, node, node.op.scalar_op, args)


@rule(scalar.ScalarOp)
def _scalar_op(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    return apply_scalar(conversion, node, node.op, args)


def _scalar_loop(conversion: Conversion, op: ScalarLoop, args: Sequence[Any]) -> Any:
    """A loop for each element, as one loop over arrays: elements that have stopped keep their state."""
    n_steps, *rest = args
    count = len(op.outputs) - op.is_while
    shape = _folded(at.add)(*[at.zeros_like(one, dtype="int64") for one in args])
    states = [at.second(shape, one) for one in rest[:count]]
    done = [at.second(shape, at.constant(False))] if op.is_while else []

    def step(t: Any, *held: Any) -> Any:
        found = conversion.inner(op.fgraph.inputs, [*held[:count], *rest[count:]], op.fgraph.outputs)
        stop = _folded(at.or_)(at.ge(t, n_steps), *held[count:])
        kept = [at.switch(stop, old, new) for old, new in zip(held, found, strict=True)]
        return (kept, until(at.all(kept[-1] | at.ge(t + 1, n_steps)))) if op.is_while else kept

    # At least one step, in which elements without any keep their states, so that no stack is joined with these.
    most = at.arange(at.maximum(at.max(n_steps), 1))
    stacks, _ = scan(step, sequences=most, outputs_info=[*states, *done], name=op.name or "ScalarLoop")
    ends = [stack[-1] for stack in (stacks if isinstance(stacks, list) else [stacks])]
    # A while loop of no steps counts as ended.
    return [*ends[:count], ends[-1] | at.le(n_steps, 0)] if op.is_while else ends


@rule(DimShuffle)
def _dimshuffle(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    return at.dimshuffle(args[0], *node.op.new_order)


_REDUCTIONS: dict[str, Callable[..., Any]] = {
    "Add": at.sum,
    "Mul": at.prod,
    "Maximum": at.max,
    "Minimum": at.min,
    "AND": at.all,
    "OR": at.any,
}


@rule(CAReduce)
def _reduce(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    (x,), op, output = args, node.op, node.outputs[0]
    name = type(op.scalar_op).__name__
    if name not in _REDUCTIONS or (name in ("AND", "OR") and x.dtype != "bool"):
        return NotImplemented
    axis = tuple(range(x.ndim)) if op.axis is None else tuple(op.axis)
    if name in ("Add", "Mul"):
        wide = getattr(op, "acc_dtype", None) or output.type.dtype
        return of_type(_REDUCTIONS[name](at.cast(x, wide), axis=axis, dtype=wide), output)
    return of_type(_REDUCTIONS[name](x, axis=axis), output)


@rule(Argmax)
def _argmax(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    axis = node.op.axis
    return of_type(at.argmax(args[0], axis=None if axis is None else tuple(axis)), node.outputs[0])


@rule(Softmax)
def _softmax(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    return at.softmax(args[0], axis=_all_axes(node, args))


@rule(LogSoftmax)
def _log_softmax(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    return at.log_softmax(args[0], axis=_all_axes(node, args))


def _all_axes(node: Apply, args: Sequence[Any]) -> Any:
    return tuple(range(args[0].ndim)) if node.op.axis is None else node.op.axis
