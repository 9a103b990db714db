"""Derivatives as recorded: nothing is differentiated while tracing."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from loopjax.errors import DisconnectedInputError, where
from loopjax.trace.convert import as_variable
from loopjax.trace.graph import Graph, Variable, apply, dependents, toposort
from loopjax.trace.methods import say
from loopjax.trace.op import Op
from loopjax.trace.types import RESIDUAL, TensorType


class GradientParts(NamedTuple):
    """The inputs of a ``Gradient`` by role; a cotangent for each cost."""

    costs: tuple[Any, ...]
    cotangents: tuple[Any, ...]
    wrt: tuple[Any, ...]


@dataclass(frozen=True)
class Gradient(Op):
    """``sum(cotangent * d cost / d wrt)`` for each ``wrt``, by the identity of the variables.

    It is what ``grad`` and ``Lop`` record. The pass ``gather`` turns it into ``Linearize`` and ``Pullback``.
    """

    n_costs: int

    def parts(self, values: Sequence[Any]) -> GradientParts:
        n = self.n_costs
        return GradientParts(tuple(values[:n]), tuple(values[n : 2 * n]), tuple(values[2 * n :]))

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        return tuple(type.strong() for type in self.parts(types).wrt)


@dataclass(frozen=True)
class Linearize(Op):
    """Runs a region once: its outputs, and the residual from which its derivatives are pulled back.

    The first ``n_wrt`` inputs are those that are differentiated. The first ``n_costs`` outputs take cotangents; the
    others are values that the region publishes. The last output of the op is the residual. Once sized, the region has
    ``n_deltas`` further inputs behind those that are differentiated, zeros added to intermediate values; they are not
    inputs of the op.
    """

    region: Graph
    n_wrt: int
    n_costs: int
    n_deltas: int = 0

    @property
    def regions(self) -> tuple[Graph, ...]:
        return (self.region,)

    def with_regions(self, regions: Sequence[Graph]) -> Linearize:
        return replace(self, region=regions[0])

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        inputs = [*self.region.inputs[: self.n_wrt], *self.region.inputs[self.n_wrt + self.n_deltas :]]
        for variable, type in zip(inputs, types, strict=True):
            if not variable.type.accepts(type):
                raise TypeError(f"a differentiated region expects {variable.type}, got {type}")
        return (*(variable.type for variable in self.region.outputs), TensorType(RESIDUAL))


@dataclass(frozen=True)
class Pullback(Op):
    """From a residual and the costs' cotangents to the cotangents of the differentiated inputs."""

    types: tuple[TensorType, ...]

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        if types[0].dtype != RESIDUAL:
            raise TypeError(f"a pullback reads a residual, got {types[0]}")
        return self.types


def grad(
    cost: Variable | None,
    wrt: Any,
    consider_constant: Sequence[Variable] | None = None,
    disconnected_inputs: Literal["raise", "warn", "ignore"] = "raise",
    known_grads: Mapping[Variable, Any] | None = None,
    return_disconnected: Literal["zero", "none", "disconnected"] = "zero",
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
        What to do where ``cost`` does not depend on a ``wrt``: ``raise``, ``warn`` or ``ignore``.
    known_grads
        Gradients of variables between ``wrt`` and the cost, each of the variable's shape; they stand for what would
        flow back to those variables.
    return_disconnected
        What stands for the gradient of a disconnected ``wrt``: ``zero``, or ``none`` (also spelled ``disconnected``).

    Returns a variable of the shape and dtype of each ``wrt``, in the container that ``wrt`` came in. Derivatives
    of the result work. Raises ``TypeError`` for a cost that is no float scalar or a ``wrt`` that is not
    float, ``DisconnectedInputError`` as asked. Reverse mode, by ``jax.vjp``.
    """
    if disconnected_inputs not in ("raise", "warn", "ignore"):
        raise ValueError(f"disconnected_inputs is 'raise', 'warn' or 'ignore', not {disconnected_inputs!r}")
    if return_disconnected not in ("zero", "none", "disconnected"):
        raise ValueError(f"return_disconnected is 'zero', 'none' or 'disconnected', not {return_disconnected!r}")
    single = isinstance(wrt, Variable)
    wanted: list[Variable] = [wrt] if single else list(wrt)
    costs, cotangents = _starts(cost, known_grads)
    for variable in wanted:
        if not isinstance(variable, Variable):
            raise TypeError(f"wrt holds variables of the graph, got {type(variable).__name__}: {variable!r:.80}")
        if not variable.type.is_float:
            raise TypeError(
                f"grad with respect to {variable!r}{where(variable.sources)}: only float variables have a "
                f"gradient; cast it to a float dtype first"
            )
    if consider_constant:
        costs, wanted = _hold_constant(costs, wanted, consider_constant)
    path = toposort(costs)
    connected = [_connects(path, costs, variable) for variable in wanted]
    for variable, joined in zip(wanted, connected, strict=True):
        if not joined:
            _disconnected(variable, costs, disconnected_inputs)
    op = Gradient(len(costs))
    reached = [variable for variable, joined in zip(wanted, connected, strict=True) if joined]
    found = iter(apply(op, *costs, *cotangents, *reached) if reached else ())
    results: list[Any] = []
    for variable, joined in zip(wanted, connected, strict=True):
        if joined:
            results.append(next(found))
        else:
            results.append(say("zeros_like", variable) if return_disconnected == "zero" else None)
    if single:
        return results[0]
    return tuple(results) if isinstance(wrt, tuple) else results


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
        cotangents.append(say("ones_like", cost))
    for variable, value in (known_grads or {}).items():
        given = say("cast", as_variable(value), variable.dtype)
        if not variable.type.accepts(given.type):
            raise TypeError(f"known_grads gives {given.type} for {variable!r}; expected {variable.type}")
        costs.append(variable)
        cotangents.append(given)
    return _independent(costs, known_grads or {}), cotangents


def _independent(costs: list[Variable], known: Iterable[Variable]) -> list[Variable]:
    """The starts, each with nothing flowing back from it through another: a known gradient is the whole of it."""
    apart = []
    for cost in costs:
        held = _held(variable for variable in known if variable is not cost)
        apart.append(Graph((), [cost]).rebuilt(held, inputs=()).outputs[0] if held else cost)
    return apart


def _hold_constant(
    costs: list[Variable], wanted: list[Variable], constants: Sequence[Variable]
) -> tuple[list[Variable], list[Variable]]:
    """The same costs and ``wrt``, with nothing flowing back through ``constants``."""
    rebuilt = Graph((), [*costs, *wanted]).rebuilt(_held(constants), inputs=()).outputs
    return list(rebuilt[: len(costs)]), list(rebuilt[len(costs) :])


def _held(variables: Iterable[Variable]) -> dict[Variable, Variable]:
    """Variables with stand-ins of the same value that nothing flows back through."""
    return {variable: say("disconnected_grad", variable) for variable in variables}


def _connects(path: Sequence[Any], costs: Sequence[Variable], variable: Variable) -> bool:
    reached = dependents(path, [variable])
    return any(cost in reached for cost in costs)


def _disconnected(variable: Variable, costs: Sequence[Variable], policy: str) -> None:
    message = (
        f"grad with respect to {variable!r}{where(variable.sources)}: the cost{where(costs[0].sources)} does "
        f"not depend on it; "
        f"pass disconnected_inputs='ignore' for zeros"
    )
    if policy == "raise":
        raise DisconnectedInputError(message)
    if policy == "warn":
        warnings.warn(message, stacklevel=3)
