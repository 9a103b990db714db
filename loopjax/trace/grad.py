"""``grad``: the gradient as recorded. Nothing is differentiated while tracing."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import jax.numpy as jnp

from loopjax.errors import DisconnectedInputError, where
from loopjax.ir.autodiff import Gradient
from loopjax.ir.graph import Apply, Graph, Variable, apply, toposort
from loopjax.ir.public_ops import ops
from loopjax.trace.convert import as_variable
from loopjax.trace.promotion import settle_weak

Policy = Literal["raise", "warn", "ignore"]
Absent = Literal["zero", "none", "disconnected"]


def grad(
    cost: Variable | None,
    wrt: Any,
    consider_constant: Sequence[Variable] | None = None,
    disconnected_inputs: Policy = "raise",
    known_grads: Mapping[Variable, Any] | None = None,
    return_disconnected: Absent = "zero",
) -> Any:
    """The gradient of a scalar with respect to any variables of its graph.

    Parameters
    ----------
    cost
        A float scalar. ``None`` where ``known_grads`` gives the gradients to start from.
    wrt
        A variable, or a list or tuple of them: inputs, shared variables or intermediate values, all float.
    consider_constant
        Variables through which nothing flows back.
    disconnected_inputs
        What to do where ``cost`` does not depend on a ``wrt``, or through shapes and ``disconnected_grad`` alone:
        ``raise``, ``warn`` or ``ignore``.
    known_grads
        Gradients of variables between ``wrt`` and the cost, each of the variable's shape; they stand for what would
        flow back to those variables.
    return_disconnected
        What stands for the gradient of a disconnected ``wrt``: ``zero``, or ``none`` (also spelled ``disconnected``).

    Returns a variable of the shape and dtype of each ``wrt``, in the container that ``wrt`` came in. Derivatives of the
    result of any order and in both modes work. Raises ``TypeError`` for a cost that is no float scalar or a ``wrt``
    that is not float, ``DisconnectedInputError`` as asked. Reverse mode, by ``jax.vjp``.
    """
    costs, cotangents = _starts(cost, known_grads)
    wanted = read_float(wrt, "wrt", "grad")
    costs, wanted = hold_constant(costs, wanted, consider_constant)

    def record(reached: list[Variable]) -> Sequence[Variable]:
        return apply(Gradient(len(costs), len(reached)), *costs, *reached, *cotangents)

    results = reverse(costs, wanted, record, disconnected_inputs, return_disconnected)
    return in_form(wrt, results)


def reverse(
    costs: Sequence[Variable],
    wanted: Sequence[Variable],
    record: Callable[[list[Variable]], Sequence[Variable]],
    disconnected_inputs: Policy = "raise",
    return_disconnected: Absent = "zero",
    zero: Callable[[Variable], Variable] = lambda variable: ops.zeros_like(variable),
) -> list[Any]:
    """What ``record`` gives for each of the ``wanted`` that some cost depends on; ``zero`` or ``None`` for the
    others."""
    check_choice("disconnected_inputs", disconnected_inputs, ("raise", "warn", "ignore"))
    check_choice("return_disconnected", return_disconnected, ("zero", "none", "disconnected"))
    connected = _upstream(costs)
    for variable in wanted:
        if variable not in connected:
            disconnected(
                f"grad with respect to {variable!r}{where(variable.sources)}: the cost{where(costs[0].sources)} does "
                f"not depend on it; pass disconnected_inputs='ignore' for zeros",
                disconnected_inputs,
            )
    reached = [variable for variable in wanted if variable in connected]
    found = iter(record(reached) if reached else ())
    absent = zero if return_disconnected == "zero" else lambda variable: None
    return [next(found) if variable in connected else absent(variable) for variable in wanted]


def blocked(node: Apply) -> bool:
    """Whether no derivative passes a node."""
    return node.op.has("disconnected")


def _upstream(costs: Sequence[Variable]) -> set[Variable]:
    """The variables that some of ``costs`` depends on in a way that derivatives see."""
    found = set(costs)
    for node in reversed(toposort(costs)):
        if not blocked(node) and not found.isdisjoint(node.outputs):
            found.update(node.inputs)
    return found


def read_float(variables: Any, argument: str, asked: str) -> list[Variable]:
    """A variable or several as a list. Raises ``TypeError`` for what is no variable of a float dtype."""
    found = [variables] if isinstance(variables, Variable) else list(variables)
    for variable in found:
        if not isinstance(variable, Variable):
            raise TypeError(f"{argument} holds variables of the graph, got {type(variable).__name__}: {variable!r:.80}")
        if not variable.type.is_float:
            raise TypeError(
                f"{asked} with {argument} {variable!r}{where(variable.sources)}: only float variables have a "
                f"gradient; cast it to a float dtype first"
            )
    return found


def in_form(given: Any, results: list[Any]) -> Any:
    """The results in the container that the variables came in."""
    if isinstance(given, Variable):
        return results[0]
    return tuple(results) if isinstance(given, tuple) else results


def read_seed(value: Any, variable: Variable, argument: str) -> Variable:
    """A cotangent or tangent of a variable, of exactly its dtype; a narrower one is cast. Raises ``TypeError``."""
    given = settle_weak(as_variable(value), variable.dtype)
    fits = given.type.ndim == variable.ndim and str(jnp.promote_types(given.dtype, variable.dtype)) == variable.dtype
    seed = ops.cast(given, variable.dtype) if fits else given
    if not variable.type.accepts(seed.type):
        raise TypeError(
            f"{argument} gives {given.type}{where(given.sources)} for {variable!r}; expected {variable.type}"
        )
    return seed


def check_choice(argument: str, value: str, choices: tuple[str, ...]) -> None:
    """Raises ``ValueError`` where an option is none of its choices."""
    if value not in choices:
        raise ValueError(f"{argument} is {', '.join(map(repr, choices[:-1]))} or {choices[-1]!r}, not {value!r}")


def disconnected(message: str, policy: Policy, level: int = 4) -> None:
    """Raises or warns as asked; ``level`` frames up is the user's line."""
    if policy == "raise":
        raise DisconnectedInputError(message)
    if policy == "warn":
        warnings.warn(message, stacklevel=level)


def hold_constant(
    costs: list[Variable], wanted: list[Variable], constants: Sequence[Variable] | None
) -> tuple[list[Variable], list[Variable]]:
    """The same costs and ``wrt``, with nothing flowing back through ``constants``."""
    held = _held([constants] if isinstance(constants, Variable) else constants or ())
    if not held:
        return costs, wanted
    rebuilt = Graph((), [*costs, *wanted]).rebuilt(held, inputs=()).outputs
    return list(rebuilt[: len(costs)]), list(rebuilt[len(costs) :])


def _held(variables: Iterable[Variable]) -> dict[Variable, Variable]:
    """Variables with stand-ins of the same value that nothing flows back through."""
    return {variable: ops.disconnected_grad(variable) for variable in variables}


def _starts(cost: Variable | None, known_grads: Mapping[Variable, Any] | None) -> tuple[list[Variable], list[Variable]]:
    """The variables that the backward pass starts from, and their cotangents."""
    costs: list[Variable] = []
    cotangents: list[Variable] = []
    if cost is None and not known_grads:
        raise ValueError("grad needs a cost, or known_grads to start from")
    if cost is not None:
        cost = as_variable(cost)
        if cost.ndim != 0:
            raise TypeError(
                f"cost must be a scalar, got {cost!r}{where(cost.sources)}; reduce it, for example with .sum()"
            )
        if not cost.type.is_float:
            raise TypeError(f"cost must be a float, got {cost!r}{where(cost.sources)}; cast it to a float dtype")
        costs.append(cost)
        cotangents.append(ops.cast(1.0, cost.dtype))
    for variable, value in (known_grads or {}).items():
        costs.append(variable)
        cotangents.append(read_seed(value, variable, "known_grads"))
    return _independent(costs, known_grads or {}), cotangents


def _independent(costs: list[Variable], known: Iterable[Variable]) -> list[Variable]:
    """The starts, each with nothing flowing back from it through another: a known gradient is the whole of it."""
    apart = []
    for cost in costs:
        held = _held(variable for variable in known if variable is not cost)
        apart.append(Graph((), [cost]).rebuilt(held, inputs=()).outputs[0] if held else cost)
    return apart
