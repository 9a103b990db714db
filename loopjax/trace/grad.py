"""``grad``: records the gradient of a scalar. Nothing is differentiated before a program is compiled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from loopjax.errors import coded, read_pairs, reported, where
from loopjax.ir.autodiff import Gradient
from loopjax.ir.graph import Graph, Variable, apply
from loopjax.ir.public_ops import ops
from loopjax.trace.convert import as_variable
from loopjax.trace.derivative_arguments import Absent, Policy, Vars, held_constant, pull_back, read_seed
from loopjax.trace.updates import check_unpacked


@reported
def grad(
    cost: Variable | None,
    wrt: Vars,
    consider_constant: Sequence[Variable] | None = None,
    disconnected_inputs: Policy = "raise",
    known_grads: Mapping[Variable, Any] | None = None,
    return_disconnected: Absent = "zero",
) -> Vars:
    """Return the gradient of a scalar with respect to any variables of its graph.

    Reverse mode, by ``jax.vjp``. Derivatives of the result of any order and in both modes work.

    Parameters
    ----------
    cost : Variable or None
        A float scalar. ``None`` where ``known_grads`` gives the gradients to start from.
    wrt : Variable, or list or tuple of them
        Inputs, shared variables or intermediate values, of any shape and of float dtype.
    consider_constant : sequence of Variable, optional
        Variables that nothing flows back through.
    disconnected_inputs : {"raise", "warn", "ignore"}
        What to do where ``cost`` does not depend on a ``wrt``, or only through shapes and ``disconnected_grad``.
    known_grads : mapping from Variable to array_like, optional
        Gradients of variables between ``wrt`` and the cost, each of the variable's shape. They stand for everything
        that would flow back to those variables.
    return_disconnected : {"zero", "none", "disconnected"}
        The gradient of a disconnected ``wrt``: zeros, or ``None`` (``"none"`` and ``"disconnected"``).

    Returns
    -------
    Variable, or list or tuple of them
        For each ``wrt`` a variable of its shape and dtype, in the container that ``wrt`` came in.

    Raises
    ------
    TypeError
        ``cost`` is no float scalar, a ``wrt`` is not float, or a known gradient has another shape or a wider dtype.
    DisconnectedInputError
        ``cost`` does not depend on a ``wrt``.
    ValueError
        There is neither a cost nor a known gradient.

    Examples
    --------
    >>> import loopjax
    >>> import loopjax.tensor as at
    >>> x = at.dvector("x")
    >>> slope = loopjax.grad((x**2).sum(), x)
    >>> slope.eval({x: [1.0, 3.0]})
    array([2., 6.])

    Through a loop, whose every state is doubled three times:

    >>> states, _ = loopjax.scan(lambda h: 2 * h, outputs_info=x, n_steps=3)
    >>> loopjax.grad(states[-1].sum(), x).eval({x: [1.0, 3.0]})
    array([8., 8.])
    """
    costs, cotangents = _starts(cost, dict(read_pairs("known_grads", known_grads)))

    def record(costs: list[Variable], reached: list[Variable]) -> Sequence[Variable]:
        return apply(Gradient(len(costs), len(reached)), *costs, *reached, *cotangents)

    return pull_back(costs, wrt, "grad", record, consider_constant, disconnected_inputs, return_disconnected)


def _starts(cost: Variable | None, known_grads: Mapping[Variable, Any]) -> tuple[list[Variable], list[Variable]]:
    """Return the variables that the backward pass starts from, and their cotangents."""
    if cost is None and not known_grads:
        raise coded(ValueError, "LJ401")("grad needs a cost or known_grads, got None; write grad(cost, wrt)")
    costs: list[Variable] = []
    cotangents: list[Variable] = []
    if cost is not None:
        check_unpacked(cost)
        if isinstance(cost, (list, tuple)):
            raise coded(TypeError, "LJ401")(
                f"cost is one scalar variable, expected no {type(cost).__name__} {cost!r:.80}; write cost[0] + cost[1]"
            )
        cost = as_variable(cost)
        if cost.ndim != 0:
            raise coded(TypeError, "LJ401")(
                f"cost must be a scalar, got {cost!r}{where(cost.sources)}; reduce it, for example with .sum()"
            )
        if not cost.type.is_float:
            raise coded(TypeError, "LJ401")(
                f"cost must be a float, got {cost!r}{where(cost.sources)}; cast it to a float dtype"
            )
        if cost.dtype.startswith("complex"):
            raise coded(TypeError, "LJ401")(
                f"cost must be real, got {cost!r}{where(cost.sources)}; take its .real, or abs(cost)"
            )
        costs.append(cost)
        cotangents.append(ops.cast(1.0, cost.dtype))
    for variable, value in known_grads.items():
        if not isinstance(variable, Variable):
            raise coded(TypeError, "LJ404")(
                f"known_grads has the key {variable!r:.80}; expected a variable of the graph, write {{x: value}}"
            )
        costs.append(variable)
        cotangents.append(read_seed(value, variable, "known_grads"))
    return _independent(costs, known_grads), cotangents


def _independent(costs: list[Variable], known: Iterable[Variable]) -> list[Variable]:
    """Return the costs with nothing flowing back from one through another: a known gradient replaces what would."""
    apart = []
    for cost in costs:
        held = held_constant(variable for variable in known if variable is not cost)
        apart.append(Graph((), [cost]).rebuilt(held, inputs=()).outputs[0] if held else cost)
    return apart
