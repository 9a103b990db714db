"""The ops of derivatives, in the two forms that they have.

As recorded (``Gradient``, ``Jacobian``, ``Tangent``), a derivative names its costs and ``wrt`` by the identity of the
variables: it is an expression like any other, and the path between them stays in the graph around it.

``rewrite/differentiate.py`` then forms differentiated regions: ``Linearize`` holds the path as a region and runs it
forward, which leaves residuals; ``Pullback`` takes cotangents back through them, as ``jax.vjp`` does, so that several
derivatives of one cost share one forward run. ``Pushforward`` is forward mode, as ``jax.jvp``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

from loopjax.errors import coded
from loopjax.ir.graph import Apply, Graph, Op, Variable, check_accepts
from loopjax.ir.types import RESIDUAL, TensorType


class DerivativeParts(NamedTuple):
    """The inputs of a ``Derivative`` by role: ``seeds`` are a cotangent per cost, or a tangent per ``wrt``."""

    costs: tuple[Any, ...]
    wrt: tuple[Any, ...]
    seeds: tuple[Any, ...]


@dataclass(frozen=True)
class Derivative(Op):
    """A derivative of costs with respect to ``wrt``, as recorded.

    The path from ``wrt`` to the costs must stay in one graph with the node, until it becomes a region.
    """

    n_costs: int
    n_wrt: int

    def parts(self, values: Sequence[Any]) -> DerivativeParts:
        """Return the op's inputs by role."""
        last = self.n_costs + self.n_wrt
        return DerivativeParts(tuple(values[: self.n_costs]), tuple(values[self.n_costs : last]), tuple(values[last:]))


class Gradient(Derivative):
    """Vector-Jacobian product, ``sum(cotangent * d cost / d wrt)`` for each ``wrt``; of ``grad`` and ``Lop``."""

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        return tuple(type.strong() for type in self.parts(types).wrt)


@dataclass(frozen=True)
class Jacobian(Derivative):
    """``d cost / d wrt`` of one cost, the cost's axes first; ``together`` computes all rows at once (``vmap``)."""

    together: bool = False

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        parts = self.parts(types)
        return tuple(_jacobian_type(parts.costs[0], type) for type in parts.wrt)


class Tangent(Derivative):
    """Jacobian-vector product, ``sum(d cost / d wrt * tangent)`` for each cost, recorded by ``Rop``."""

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        return tuple(type.strong() for type in self.parts(types).costs)


def derivatives(nodes: Iterable[Apply]) -> list[tuple[Apply, DerivativeParts]]:
    """Return the recorded derivatives among nodes, with their inputs by role."""
    return [(node, node.op.parts(node.inputs)) for node in nodes if isinstance(node.op, Derivative)]


@dataclass(frozen=True)
class Differentiated(Op):
    """A region with a derivative.

    The first ``n_wrt`` inputs are differentiated. The first ``n_costs`` outputs have derivatives; the others are values
    that the region publishes to the graph around it. Once sized, the region has ``n_deltas`` more inputs after the
    differentiated ones: zeros that are added to intermediate values, whose cotangents are the gradients of those
    values. They are not inputs of the op.
    """

    region_fields = ("region",)

    region: Graph
    n_wrt: int
    n_costs: int
    n_deltas: int = 0

    @property
    def differentiated(self) -> tuple[Variable, ...]:
        """The differentiated inputs of a sized region, zeros added to intermediate values included."""
        return self.region.inputs[: self.n_wrt + self.n_deltas]

    @property
    def primals(self) -> tuple[Variable, ...]:
        """The region's inputs that are inputs of the op."""
        return (*self.region.inputs[: self.n_wrt], *self.region.inputs[self.n_wrt + self.n_deltas :])

    def _check(self, types: Sequence[TensorType]) -> None:
        check_accepts(self.primals, types, "a differentiated region")


def marks(region: Graph) -> list[Apply]:
    """Return the nodes that mark intermediate values by which a region is differentiated, in the order of these."""
    found = {node.op.arguments["index"]: node for node in region.applies if node.op.named("perturb")}
    return [found[index] for index in sorted(found)]


class Linearize(Differentiated):
    """Runs a region forward: its outputs, and last the residual that a ``Pullback`` reads."""

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        self._check(types)
        return (*(variable.type for variable in self.region.outputs), TensorType(RESIDUAL))


class Pushforward(Differentiated):
    """Runs a region in forward mode: its outputs, then the tangents of its costs.

    The op's last inputs are tangents of the region's differentiated inputs.
    """

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        count = len(self.primals)
        self._check(types[:count])
        for variable, type in zip(self.differentiated, types[count:], strict=False):
            if not variable.type.accepts(type):
                raise coded(ValueError, "LJ404")(f"a point of eval_points is {type}; its wrt is {variable.type}")
        costs = self.region.outputs[: self.n_costs]
        return (*(variable.type for variable in self.region.outputs), *(variable.type.strong() for variable in costs))


@dataclass(frozen=True)
class Pullback(Op):
    """From a residual and the cotangents of the costs to the cotangents of the differentiated inputs.

    ``types`` are the types of the differentiated inputs, ``costs`` those of the region's costs.
    """

    types: tuple[TensorType, ...]
    costs: tuple[TensorType, ...]

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        _check_residual(types[0])
        for cost, type in zip(self.costs, types[1:], strict=True):
            if not cost.accepts(type):
                raise coded(ValueError, "LJ404")(f"a given gradient is {type}; it is of {cost}")
        return self.types

    def of(self, region: Differentiated) -> Self:
        """Return the pullback of a sized region."""
        return replace(
            self,
            types=tuple(variable.type for variable in region.differentiated),
            costs=tuple(variable.type for variable in region.region.outputs[: region.n_costs]),
        )


@dataclass(frozen=True)
class PullbackRows(Pullback):
    """From a residual to the Jacobians of cost number ``cost``: a pullback for each element of it, all ``together``
    or one after the other."""

    cost: int = 0
    together: bool = False

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        _check_residual(types[0])
        return tuple(_jacobian_type(self.costs[self.cost], type) for type in self.types)


def _jacobian_type(cost: TensorType, wrt: TensorType) -> TensorType:
    return TensorType(wrt.dtype, (*cost.shape, *wrt.shape))


def _check_residual(type: TensorType) -> None:
    if type.dtype != RESIDUAL:
        raise TypeError(f"a pullback reads a residual, got {type}")
