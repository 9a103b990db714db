"""Jacobians, whole and multiplied by vectors from either side, and Hessians.

Each records one node, an op of ``ir/autodiff.py``; how it is differentiated is decided when a program is compiled
(``rewrite/differentiate.py``). ``jacobian``, ``hessian`` and ``Lop`` are reverse mode, ``Rop`` is forward mode.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from loopjax.errors import check_choice, reported, where
from loopjax.ir.autodiff import Gradient, Jacobian, Tangent
from loopjax.ir.connection import upstream
from loopjax.ir.graph import Variable, apply
from loopjax.ir.public_ops import ops
from loopjax.trace.derivative_arguments import (
    Absent,
    Policy,
    Vars,
    in_container,
    pull_back,
    read_float,
    read_seeds,
    report_disconnected,
)
from loopjax.trace.grad import grad


@reported
def jacobian(
    expression: Variable,
    wrt: Vars,
    consider_constant: Sequence[Variable] | None = None,
    disconnected_inputs: Policy = "raise",
    vectorize: bool = False,
) -> Vars:
    """Return the derivative of every element of ``expression`` with respect to every element of ``wrt``.

    Reverse mode, by ``jax.vjp``; the value is computed forward once. Derivatives of the result of any order and in both
    modes work.

    Parameters
    ----------
    expression : Variable
        A float variable of any number of dimensions, a scalar too.
    wrt : Variable, or list or tuple of them
        Inputs, shared variables or intermediate values, of any shape and of float dtype.
    consider_constant : sequence of Variable, optional
        Variables that nothing flows back through.
    disconnected_inputs : {"raise", "warn", "ignore"}
        What to do where ``expression`` does not depend on a ``wrt``; zeros are returned unless an error is raised.
    vectorize : bool, default False
        ``False`` pulls back one element of ``expression`` after the other, in the memory of one gradient. ``True``
        pulls back all at once (``jax.vmap``): faster, and as many times the memory as there are elements.

    Returns
    -------
    Variable, or list or tuple of them
        For each ``wrt`` a variable of shape ``(*expression.shape, *wrt.shape)`` and its dtype, in the container that
        ``wrt`` came in.

    Raises
    ------
    TypeError
        ``expression`` or a ``wrt`` is not float.
    DisconnectedInputError
        ``expression`` does not depend on a ``wrt``.

    Examples
    --------
    >>> import loopjax
    >>> import loopjax.tensor as at
    >>> x = at.dvector("x")
    >>> loopjax.jacobian(x**2, x).eval({x: [1.0, 3.0]})
    array([[2., 0.],
           [0., 6.]])
    """

    def record(costs: list[Variable], reached: list[Variable]) -> Sequence[Variable]:
        return apply(Jacobian(1, len(reached), together=bool(vectorize)), *costs, *reached)

    def zero(variable: Variable) -> Variable:
        sizes = [ops.dim(shaped, axis) for shaped in (expression, variable) for axis in range(shaped.ndim)]
        return ops.alloc(ops.cast(0.0, variable.dtype), *sizes)

    costs = read_float([expression], "expression", "jacobian")
    return pull_back(costs, wrt, "jacobian", record, consider_constant, disconnected_inputs, zero=zero)


@reported
def hessian(
    cost: Variable,
    wrt: Vars,
    consider_constant: Sequence[Variable] | None = None,
    disconnected_inputs: Policy = "raise",
    vectorize: bool = False,
) -> Vars:
    """Return the second derivatives of a scalar: the Jacobian of its gradient.

    Second derivatives across two variables ``a`` and ``b`` are ``jacobian(grad(cost, a), b)``. Derivatives of the
    result of any order and in both modes work.

    Parameters
    ----------
    cost : Variable
        A float scalar.
    wrt : Variable, or list or tuple of them
        Inputs, shared variables or intermediate values, of any shape (vectors in Aesara) and of float dtype.
    consider_constant : sequence of Variable, optional
        Variables that nothing flows back through.
    disconnected_inputs : {"raise", "warn", "ignore"}
        What to do where ``cost`` does not depend on a ``wrt``; zeros are returned unless an error is raised.
    vectorize : bool, default False
        As in ``jacobian``, for the elements of the gradient.

    Returns
    -------
    Variable, or list or tuple of them
        For each ``wrt`` a variable of shape ``(*wrt.shape, *wrt.shape)`` and its dtype, in the container that ``wrt``
        came in.

    Raises
    ------
    TypeError
        ``cost`` is no float scalar, or a ``wrt`` is not float.
    DisconnectedInputError
        ``cost`` does not depend on a ``wrt``.

    Examples
    --------
    >>> import loopjax
    >>> import loopjax.tensor as at
    >>> x = at.dvector("x")
    >>> loopjax.hessian((x**3).sum(), x).eval({x: [1.0, 2.0]})
    array([[ 6.,  0.],
           [ 0., 12.]])
    """
    wanted = read_float(wrt, "wrt", "hessian")
    slopes = grad(cost, wanted, consider_constant, disconnected_inputs)
    pairs = zip(slopes, wanted, strict=True)
    return in_container(wrt, [jacobian(slope, x, consider_constant, "ignore", vectorize) for slope, x in pairs])


@reported
def Lop(  # noqa: N802 - Aesara's name
    f: Variable | Sequence[Variable],
    wrt: Vars,
    eval_points: Any,
    consider_constant: Sequence[Variable] | None = None,
    disconnected_inputs: Policy = "raise",
) -> Vars:
    """Return a vector-Jacobian product: ``eval_points`` times the Jacobian of ``f``, ``sum(eval_point * d f / d wrt)``.

    Reverse mode, by ``jax.vjp``. Derivatives of the result of any order and in both modes work.

    Parameters
    ----------
    f : Variable, or list or tuple of them
        Float variables of any shape.
    wrt : Variable, or list or tuple of them
        Inputs, shared variables or intermediate values, of any shape and of float dtype.
    eval_points : array_like or Variable, or list or tuple of them
        For each ``f`` a cotangent of its shape; cast to its dtype where that loses nothing.
    consider_constant : sequence of Variable, optional
        Variables that nothing flows back through.
    disconnected_inputs : {"raise", "warn", "ignore"}
        What to do where no ``f`` depends on a ``wrt``; zeros are returned unless an error is raised.

    Returns
    -------
    Variable, or list or tuple of them
        For each ``wrt`` a variable of its shape and dtype, in the container that ``wrt`` came in.

    Raises
    ------
    TypeError
        An ``f`` or a ``wrt`` is not float, or an eval point has another shape or a wider dtype.
    ValueError
        There is another number of ``eval_points`` than of ``f``.
    DisconnectedInputError
        No ``f`` depends on a ``wrt``.

    Examples
    --------
    >>> import loopjax
    >>> import loopjax.tensor as at
    >>> x = at.dvector("x")
    >>> loopjax.Lop(x**2, x, [1.0, 10.0]).eval({x: [1.0, 3.0]})
    array([ 2., 60.])
    """
    costs = read_float(f, "f", "Lop")
    cotangents = read_seeds(eval_points, costs, "f")

    def record(costs: list[Variable], reached: list[Variable]) -> Sequence[Variable]:
        return apply(Gradient(len(costs), len(reached)), *costs, *reached, *cotangents)

    return pull_back(costs, wrt, "Lop", record, consider_constant, disconnected_inputs)


@reported
def Rop(  # noqa: N802 - Aesara's name
    f: Vars,
    wrt: Variable | Sequence[Variable],
    eval_points: Any,
    disconnected_outputs: Policy = "raise",
    return_disconnected: Absent = "zero",
) -> Vars:
    """Return a Jacobian-vector product: the Jacobian of ``f`` times ``eval_points``, ``sum(d f / d wrt * eval_point)``.

    True forward mode, by ``jax.jvp``: it stores no steps of loops, and passes loops that stop by ``until`` or whose
    length only the run knows. Derivatives of the result of any order and in both modes work where ``jax.jvp`` has them.

    Parameters
    ----------
    f : Variable, or list or tuple of them
        Float variables of any shape.
    wrt : Variable, or list or tuple of them
        Inputs, shared variables or intermediate values, of any shape and of float dtype. Where one is computed from
        another, both contribute, as they do to ``Lop``.
    eval_points : array_like or Variable, or list or tuple of them
        For each ``wrt`` a tangent of its shape; cast to its dtype where that loses nothing.
    disconnected_outputs : {"raise", "warn", "ignore"}
        What to do where an ``f`` depends on no ``wrt``.
    return_disconnected : {"zero", "none", "disconnected"}
        The derivative of such an ``f``: zeros, or ``None`` (``"none"`` and ``"disconnected"``).

    Returns
    -------
    Variable, or list or tuple of them
        For each ``f`` a variable of its shape and dtype, in the container that ``f`` came in.

    Raises
    ------
    TypeError
        An ``f`` or a ``wrt`` is not float, or an eval point has another shape or a wider dtype.
    ValueError
        There is another number of ``eval_points`` than of ``wrt``.
    DisconnectedInputError
        An ``f`` depends on no ``wrt``.
    UnsupportedError
        On compiling, where ``f`` passes ``grad_clip``, which has no derivative in forward mode.

    Examples
    --------
    >>> import loopjax
    >>> import loopjax.tensor as at
    >>> x = at.dvector("x")
    >>> loopjax.Rop((x**2).sum(), x, [1.0, 10.0]).eval({x: [1.0, 3.0]})
    array(62.)
    """
    check_choice("disconnected_outputs", disconnected_outputs, get_args(Policy))
    check_choice("return_disconnected", return_disconnected, get_args(Absent))
    outputs = read_float(f, "f", "Rop")
    wanted = read_float(wrt, "wrt", "Rop")
    tangents = _summed(wanted, read_seeds(eval_points, wanted, "wrt"))
    connected = {output for output in outputs if not upstream([output]).isdisjoint(wanted)}
    for output in outputs:
        if output not in connected:
            report_disconnected(
                f"Rop of {output!r}{where(output.sources)}: it does not depend on any wrt; pass "
                f"disconnected_outputs='ignore' for zeros",
                disconnected_outputs,
            )
    reached = [output for output in outputs if output in connected]
    op = Tangent(len(reached), len(tangents))
    found = iter(apply(op, *reached, *tangents, *tangents.values()) if reached else ())
    absent = ops.zeros_like if return_disconnected == "zero" else lambda output: None
    return in_container(f, [next(found) if output in connected else absent(output) for output in outputs])


def _summed(variables: list[Variable], tangents: list[Variable]) -> dict[Variable, Variable]:
    """Return the tangent of each variable, the sum where it is named twice."""
    found: dict[Variable, Variable] = {}
    for variable, tangent in zip(variables, tangents, strict=True):
        found[variable] = ops.add(found[variable], tangent) if variable in found else tangent
    return found
