"""The op table: every op without regions, by name.

A program has many kinds of nodes and few things to say of each: a function that runs on arrays, inference of types,
the promotion of its inputs, and traits. An ``OpDef`` says them, and a ``TableOp`` is a use of one, with parameters.
Ops with regions (``Scan``, ``IfElse``, derivatives) are classes of their own.

A cumulative sum, for example, would be registered with::

    register("cumsum", lambda x, axis: jnp.cumsum(x, axis), same_type, "memory_bound")

and recorded with ``apply(table_op("cumsum", axis=0), x)``. A rewrite asks ``node.op.named("cumsum")``, or for traits,
and reads ``node.op.arguments["axis"]``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple

from loopjax.ir.graph import Op
from loopjax.ir.traits import Trait, with_implied
from loopjax.ir.types import Shape, TensorType

Operands = Literal["as is", "common", "float", "branches"]
"""The promotion of an op's inputs: see ``OpDef``."""

Broadcasts = Callable[..., Sequence[Sequence[Shape]]]
"""From the arguments of ``infer`` to groups of shapes that broadcast to one another."""


def no_shapes(*types: TensorType, **params: Any) -> Sequence[Sequence[Shape]]:
    """Return no group: no input broadcasts to another."""
    return ()


def whole_shapes(*types: TensorType, **params: Any) -> Sequence[Sequence[Shape]]:
    """Return one group: all inputs broadcast to one another."""
    return ([type.shape for type in types],)


def same_type(type: TensorType, *others: TensorType, **params: Any) -> TensorType:
    """Return the type of the first input."""
    return type


class Reparametrization(NamedTuple):
    """A draw as a parameter-free base draw and a transform of it (Kingma and Welling 2014).

    ``base`` names the op that draws, in the dtype of the result or, ``as_parameters``, in that of the parameters.
    ``transform(do, draws, *parameters)`` works on arrays and on variables alike: it uses operators, and
    ``do(name, x, **options)`` for an op of the table. ``events`` axes of the first parameter are one draw's, and axes
    of the base draw too.
    """

    base: str
    transform: Callable[..., Any]
    as_parameters: bool = False
    events: int = 0

    def shape(self, result: Shape, parameter: Shape) -> Shape:
        """Return the shape of the base draw, from those of the result and of the first parameter."""
        return (*result, *parameter[len(parameter) - self.events :])

    def dtype(self, result: str, parameter: str) -> str:
        """Return the dtype of the base draw, from those of the result and of the first parameter."""
        return parameter if self.as_parameters else result


@dataclass(frozen=True)
class OpDef:
    """An entry of the op table.

    ``run`` takes arrays and then the parameters by keyword; ``None`` where ``lower/`` has a rule of its own.
    ``infer`` takes types and the same keywords. ``operands`` says to what dtype the inputs are cast before ``run``:
    left ``as is``, brought to their ``common`` dtype, to the common ``float`` dtype, or common except for the first
    (``branches``). A parameter called ``lengths``, a tuple, may hold ``None``: each such hole is filled by one more
    input, an integer scalar, from the end of the inputs, which must be a number before compiling. ``broadcasts`` says
    which shapes stretch to one another: only a size known to be 1 when the graph is built may. ``reparametrization``,
    of an op that draws random numbers: how to draw from a base distribution, where there is one.
    """

    name: str
    run: Callable[..., Any] | None
    infer: Callable[..., TensorType | tuple[TensorType, ...]]
    traits: frozenset[Trait] = frozenset()
    operands: Operands = "as is"
    broadcasts: Broadcasts = no_shapes
    reparametrization: Reparametrization | None = None


OP_TABLE: dict[str, OpDef] = {}
"""Every plain op, by name."""


def register(
    name: str,
    run: Callable[..., Any] | None,
    infer: Callable[..., TensorType | tuple[TensorType, ...]],
    *traits: Trait,
    operands: Operands = "as is",
    broadcasts: Broadcasts | None = None,
    reparametrization: Reparametrization | None = None,
) -> None:
    """Add an op to the table, with the traits given and those they imply; all inputs of a pointwise op broadcast.

    Raises ``ValueError`` where the name is taken.
    """
    if name in OP_TABLE:
        raise ValueError(f"op {name!r} is registered already")
    together = broadcasts or (whole_shapes if "pointwise" in traits else no_shapes)
    OP_TABLE[name] = OpDef(name, run, infer, with_implied(traits), operands, together, reparametrization)


def computed(name: str, *arrays: Any, **params: Any) -> Any:
    """Run an op of the table on arrays, without casting them; it must have a ``run``."""
    run = OP_TABLE[name].run
    assert run is not None
    return run(*arrays, **params)


@dataclass(frozen=True)
class TableOp(Op):
    """An op of the table with its parameters."""

    op_name: str
    params: tuple[tuple[str, Hashable], ...] = ()

    @property
    def name(self) -> str:
        return self.op_name

    @property
    def subject(self) -> str:
        return self.op_name.removeprefix("draw_")

    @cached_property
    def arguments(self) -> Mapping[str, Any]:
        return dict(self.params)

    @property
    def definition(self) -> OpDef:
        """The op's entry of the table."""
        return OP_TABLE[self.op_name]

    def named(self, *names: str) -> bool:
        return self.op_name in names

    def has(self, *traits: Trait) -> bool:
        return not self.definition.traits.isdisjoint(traits)

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        out = self.definition.infer(*types[: len(types) - self._holes], **self.arguments)
        return (out,) if isinstance(out, TensorType) else out

    def broadcasts(self, *types: TensorType) -> Sequence[Sequence[Shape]]:
        """Return the groups of shapes that stretch to one another, for inputs of these types."""
        return self.definition.broadcasts(*types[: len(types) - self._holes], **self.arguments)

    def length_inputs(self, count: int) -> tuple[int, ...]:
        return tuple(range(count - self._holes, count)) if self._holes else ()

    def sized(self, lengths: Sequence[int]) -> Op:
        if not self._holes:
            return self
        fill = iter(lengths)
        filled = tuple(next(fill) if hole is None else hole for hole in self.arguments["lengths"])
        params = tuple((key, filled if key == "lengths" else value) for key, value in self.params)
        return replace(self, params=params)

    @cached_property
    def _holes(self) -> int:
        """The number of ``lengths`` that are inputs."""
        lengths = self.arguments.get("lengths")
        return lengths.count(None) if isinstance(lengths, tuple) else 0


def table_op(name: str, /, **params: Hashable) -> TableOp:
    """Return an op of the table with these parameters."""
    return TableOp(name, tuple(sorted(params.items())) if params else ())
