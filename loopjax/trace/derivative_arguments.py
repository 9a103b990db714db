"""Arguments that the derivatives share: ``wrt``, seeds, and which variables a derivative reaches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, TypeVar, get_args

import jax
import jax.numpy as jnp

from loopjax.errors import DisconnectedInputError, check_choice, coded, warn, where
from loopjax.ir.connection import upstream
from loopjax.ir.graph import Graph, Variable
from loopjax.ir.public_ops import ops
from loopjax.trace.convert import as_variable
from loopjax.trace.promotion import settle_weak
from loopjax.trace.pytrees import is_pytree

Policy = Literal["raise", "warn", "ignore"]
"""The policy for a variable that the cost does not depend on."""

Absent = Literal["zero", "none", "disconnected"]
"""The result in place of a derivative that does not exist."""

Vars = TypeVar("Vars", Variable, tuple[Variable, ...], list[Variable], Sequence[Variable], Any)
"""One variable or several, or a pytree of them; a derivative comes in the same container."""


def pull_back(
    costs: list[Variable],
    wrt: Vars,
    asked: str,
    record: Callable[[list[Variable], list[Variable]], Sequence[Variable]],
    consider_constant: Sequence[Variable] | None,
    disconnected_inputs: Policy,
    return_disconnected: Absent = "zero",
    zero: Callable[[Variable], Variable] = lambda variable: ops.zeros_like(variable),
) -> Vars:
    """Record a derivative in reverse mode with respect to the ``wrt`` that some cost depends on.

    ``record(costs, wrt)`` records it, with nothing flowing back through ``consider_constant``; ``zero`` makes the
    derivative with respect to a disconnected ``wrt``. The result is in the container of ``wrt``.
    """
    check_choice("disconnected_inputs", disconnected_inputs, get_args(Policy))
    check_choice("return_disconnected", return_disconnected, get_args(Absent))
    is_tree = is_pytree(wrt) or is_pytree(wrt, nested=True)
    given = read_float(jax.tree.leaves(wrt) if is_tree else wrt, "wrt", asked)
    costs, wanted = _hold_constant(costs, given, consider_constant)
    connected = upstream(costs)
    for variable in wanted:
        if variable not in connected:
            report_disconnected(
                f"grad with respect to {variable!r}{where(variable.sources)}: the cost{where(costs[0].sources)} does "
                "not depend on it; expected a variable that it is made of, or pass disconnected_inputs='ignore' for "
                "zeros",
                disconnected_inputs,
            )
    reached = [variable for variable in wanted if variable in connected]
    found = iter(record(costs, reached) if reached else ())
    absent = zero if return_disconnected == "zero" else lambda variable: None
    gradients = [next(found) if variable in connected else absent(variable) for variable in wanted]
    return jax.tree.unflatten(jax.tree.structure(wrt), gradients) if is_tree else in_container(wrt, gradients)


def _hold_constant(
    costs: list[Variable], wanted: list[Variable], constants: Sequence[Variable] | None
) -> tuple[list[Variable], list[Variable]]:
    """Return the costs and ``wrt`` with nothing flowing back through ``constants``."""
    held = held_constant(read_variables(constants, "consider_constant"))
    if not held:
        return costs, wanted
    rebuilt = Graph((), [*costs, *wanted]).rebuilt(held, inputs=()).outputs
    return list(rebuilt[: len(costs)]), list(rebuilt[len(costs) :])


def read_variables(variables: Any, argument: str) -> list[Variable]:
    """Return no, one or several variables as a list."""
    found = [variables] if isinstance(variables, Variable) else [] if variables is None else variables
    if not isinstance(found, (list, tuple)) or not all(isinstance(one, Variable) for one in found):
        raise coded(TypeError, "LJ508")(
            f"{argument} is a list of variables, got {type(variables).__name__} {variables!r:.80}; write [x]"
        )
    return list(found)


def held_constant(variables: Iterable[Variable]) -> dict[Variable, Variable]:
    """Return a copy of each variable that nothing flows back through."""
    return {variable: ops.disconnected_grad(variable) for variable in variables}


def report_disconnected(message: str, policy: Policy) -> None:
    """Raise ``DisconnectedInputError`` or warn, as asked."""
    if policy == "raise":
        raise coded(DisconnectedInputError, "LJ402")(message)
    if policy == "warn":
        warn(message)


def read_float(variables: Any, argument: str, asked: str) -> list[Variable]:
    """Return a variable or several as a list; raise ``TypeError`` for anything but variables of a float dtype."""
    if not isinstance(variables, (Variable, list, tuple)):
        raise coded(TypeError, "LJ403")(
            f"{argument} is a variable or a list of them, got {type(variables).__name__} {variables!r:.80}; write the "
            f"variables that {asked} is taken of"
        )
    found = [variables] if isinstance(variables, Variable) else list(variables)
    for variable in found:
        if not isinstance(variable, Variable):
            raise coded(TypeError, "LJ403")(
                f"{argument} holds {type(variable).__name__} {variable!r:.80}; expected variables of the graph, write "
                f"{argument}=[x, y]"
            )
        if not variable.type.is_float:
            raise coded(TypeError, "LJ403")(
                f"{asked} with {argument} {variable!r}{where(variable.sources)}: only float variables have a "
                f"gradient; cast it to a float dtype first"
            )
    return found


def read_seed(value: Any, variable: Variable, argument: str) -> Variable:
    """Return a cotangent or tangent of a variable, cast where it is narrower; raise ``TypeError`` where it is wider."""
    point = settle_weak(as_variable(value), variable.dtype)
    fits = point.ndim == variable.ndim and str(jnp.promote_types(point.dtype, variable.dtype)) == variable.dtype
    seed = ops.cast(point, variable.dtype) if fits else point
    if not variable.type.accepts(seed.type):
        raise coded(TypeError, "LJ404")(
            f"{argument} gives {point.type}{where(point.sources)} for {variable!r}; expected {variable.type}, "
            f"cast or reshape it"
        )
    return seed


def read_seeds(points: Any, variables: list[Variable], argument: str) -> list[Variable]:
    """Return ``eval_points`` as a list with an entry for each of ``variables``."""
    entries = list(points) if isinstance(points, (list, tuple)) else [points]
    if len(variables) == 1 and len(entries) != 1:
        entries = [points]  # a vector written as a list of numbers
    if len(entries) != len(variables):
        raise coded(ValueError, "LJ404")(
            f"eval_points has {len(entries)} entries and {argument} {len(variables)}; give one for each"
        )
    return [read_seed(point, variable, "eval_points") for point, variable in zip(entries, variables, strict=True)]


def in_container(like: Any, results: list[Any]) -> Any:
    """Return the results in the container that the variables came in."""
    if isinstance(like, Variable):
        return results[0]
    return tuple(results) if isinstance(like, tuple) else results
