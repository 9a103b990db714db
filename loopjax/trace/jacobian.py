"""Jacobians, whole and multiplied by vectors from either side, and Hessians."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loopjax.errors import where
from loopjax.ir.autodiff import Gradient, Jacobian, Tangent
from loopjax.ir.graph import Variable, apply, toposort
from loopjax.ir.public_ops import ops
from loopjax.trace.grad import (
    Absent,
    Policy,
    blocked,
    check_choice,
    disconnected,
    grad,
    hold_constant,
    in_form,
    read_float,
    read_seed,
    reverse,
)


def jacobian(
    expression: Variable,
    wrt: Any,
    consider_constant: Sequence[Variable] | None = None,
    disconnected_inputs: Policy = "raise",
    vectorize: bool = False,
) -> Any:
    """The derivative of every element of ``expression`` with respect to every element of ``wrt``.

    Parameters
    ----------
    expression
        A float variable of any number of dimensions, a scalar too.
    wrt
        A variable, or a list or tuple of them: inputs, shared variables or intermediate values, all float.
    consider_constant, disconnected_inputs
        As in ``grad``.
    vectorize
        ``False`` pulls one element of ``expression`` back after the other, in the memory of one gradient; ``True``
        pulls back all at once, which is faster and takes as many times the memory as there are elements.

    Returns a variable of shape ``(*expression.shape, *wrt.shape)`` and the dtype of each ``wrt``, in the container that
    ``wrt`` came in. The value is computed forward once. Derivatives of the result of any order and in both modes work.
    Raises ``TypeError`` for an expression or a ``wrt`` that is not float, ``DisconnectedInputError`` as asked. Reverse
    mode, by ``jax.vjp``.
    """
    (cost,) = read_float([expression], "expression", "jacobian")
    wanted = read_float(wrt, "wrt", "jacobian")
    costs, wanted = hold_constant([cost], wanted, consider_constant)

    def record(reached: list[Variable]) -> Sequence[Variable]:
        return apply(Jacobian(1, len(reached), together=bool(vectorize)), *costs, *reached)

    def zero(variable: Variable) -> Variable:
        sizes = [ops.dim(one, axis) for one in (cost, variable) for axis in range(one.ndim)]
        return ops.alloc(ops.cast(0.0, variable.dtype), *sizes)

    return in_form(wrt, reverse(costs, wanted, record, disconnected_inputs, zero=zero))


def hessian(
    cost: Variable,
    wrt: Any,
    consider_constant: Sequence[Variable] | None = None,
    disconnected_inputs: Policy = "raise",
    vectorize: bool = False,
) -> Any:
    """The second derivatives of a scalar: the Jacobian of its gradient.

    ``cost`` is a float scalar; ``wrt`` a float variable, or a list or tuple of them, of any number of dimensions (a
    vector in Aesara). The other arguments are those of ``jacobian``. Returns for each ``wrt`` a variable of shape
    ``(*wrt.shape, *wrt.shape)`` and its dtype, in the container that ``wrt`` came in; second derivatives across two
    variables are those of ``jacobian(grad(cost, a), b)``. Derivatives of the result work. Raises what ``grad`` raises.
    """
    wanted = read_float(wrt, "wrt", "hessian")
    slopes = grad(cost, wanted, consider_constant, disconnected_inputs)
    found = [
        jacobian(slope, variable, consider_constant, "ignore", vectorize)
        for slope, variable in zip(slopes, wanted, strict=True)
    ]
    return in_form(wrt, found)


def Lop(  # noqa: N802 - Aesara's name
    f: Any,
    wrt: Any,
    eval_points: Any,
    consider_constant: Sequence[Variable] | None = None,
    disconnected_inputs: Policy = "raise",
) -> Any:
    """The product of ``eval_points`` with the Jacobian of ``f``, from the left: ``sum(eval_point * d f / d wrt)``.

    Parameters
    ----------
    f
        A float variable, or a list or tuple of them, of any number of dimensions.
    wrt
        A variable, or a list or tuple of them: inputs, shared variables or intermediate values, all float.
    eval_points
        For each ``f`` a value of its shape, variable or number; cast to its dtype where that loses nothing.
    consider_constant, disconnected_inputs
        As in ``grad``.

    Returns a variable of the shape and dtype of each ``wrt``, in the container that ``wrt`` came in. Derivatives of the
    result of any order and in both modes work. Raises ``TypeError`` for what is not float or does not fit,
    ``ValueError`` for another number of ``eval_points`` than ``f``, ``DisconnectedInputError`` as asked. Reverse mode,
    by ``jax.vjp``.
    """
    costs = read_float(f, "f", "Lop")
    wanted = read_float(wrt, "wrt", "Lop")
    cotangents = _seeds(eval_points, costs, "f")
    costs, wanted = hold_constant(costs, wanted, consider_constant)

    def record(reached: list[Variable]) -> Sequence[Variable]:
        return apply(Gradient(len(costs), len(reached)), *costs, *reached, *cotangents)

    return in_form(wrt, reverse(costs, wanted, record, disconnected_inputs))


def Rop(  # noqa: N802 - Aesara's name
    f: Any,
    wrt: Any,
    eval_points: Any,
    disconnected_outputs: Policy = "raise",
    return_disconnected: Absent = "zero",
) -> Any:
    """The product of the Jacobian of ``f`` with ``eval_points``, from the right: ``sum(d f / d wrt * eval_point)``.

    Parameters
    ----------
    f
        A float variable, or a list or tuple of them, of any number of dimensions.
    wrt
        A variable, or a list or tuple of them: inputs, shared variables or intermediate values, all float. Where one
        is computed from another, both contribute, as they do to ``Lop``.
    eval_points
        For each ``wrt`` a value of its shape, variable or number; cast to its dtype where that loses nothing.
    disconnected_outputs
        What to do where an ``f`` depends on no ``wrt``: ``raise``, ``warn`` or ``ignore``.
    return_disconnected
        What stands for it: ``zero``, or ``none`` (also spelled ``disconnected``).

    Returns a variable of the shape and dtype of each ``f``, in the container that ``f`` came in. True forward mode, by
    ``jax.jvp``: it stores no steps, and passes loops that stop by ``until`` or whose length only the run knows.
    Derivatives of the result of any order and in both modes work where ``jax.jvp`` has them; ``grad_clip`` has none
    and raises ``UnsupportedError``. Raises ``TypeError`` for what is not float or does not fit, ``ValueError`` for
    another number of ``eval_points`` than ``wrt``, ``DisconnectedInputError`` as asked.
    """
    check_choice("disconnected_outputs", disconnected_outputs, ("raise", "warn", "ignore"))
    check_choice("return_disconnected", return_disconnected, ("zero", "none", "disconnected"))
    outputs = read_float(f, "f", "Rop")
    wanted = read_float(wrt, "wrt", "Rop")
    tangents = _summed(wanted, _seeds(eval_points, wanted, "wrt"))
    depending = _downstream(outputs, wanted)
    for output in outputs:
        if output not in depending:
            disconnected(
                f"Rop of {output!r}{where(output.sources)}: it does not depend on any wrt; pass "
                f"disconnected_outputs='ignore' for zeros",
                disconnected_outputs,
                level=3,
            )
    reached = [output for output in outputs if output in depending]
    op = Tangent(len(reached), len(tangents))
    found = iter(apply(op, *reached, *tangents, *tangents.values()) if reached else ())
    results: list[Any] = []
    for output in outputs:
        if output in depending:
            results.append(next(found))
        else:
            results.append(ops.zeros_like(output) if return_disconnected == "zero" else None)
    return in_form(f, results)


def _seeds(points: Any, variables: list[Variable], argument: str) -> list[Variable]:
    """``eval_points`` as a list, one for each of ``variables``."""
    given = list(points) if isinstance(points, (list, tuple)) else [points]
    if len(variables) == 1 and len(given) != 1:
        given = [points]  # a vector written as a list of numbers
    if len(given) != len(variables):
        raise ValueError(f"eval_points has {len(given)} entries and {argument} {len(variables)}; give one for each")
    return [read_seed(point, variable, "eval_points") for point, variable in zip(given, variables, strict=True)]


def _summed(variables: list[Variable], tangents: list[Variable]) -> dict[Variable, Variable]:
    """The tangent of each variable, also of one that is named twice."""
    found: dict[Variable, Variable] = {}
    for variable, tangent in zip(variables, tangents, strict=True):
        found[variable] = ops.add(found[variable], tangent) if variable in found else tangent
    return found


def _downstream(outputs: list[Variable], wrt: list[Variable]) -> set[Variable]:
    """What depends on ``wrt`` in a way that derivatives see."""
    found = set(wrt)
    for node in toposort(outputs):
        if not blocked(node) and not found.isdisjoint(node.inputs):
            found.update(node.outputs)
    return found
