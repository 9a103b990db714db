"""The intermediate representation: variables, the nodes that compute them, and graphs.

A ``Variable`` is computed by an ``Apply`` node (its ``owner``) or is an input. An ``Apply`` has an ``Op`` and input
variables; it asks the op for the types of its outputs when it is made, so that every graph is typed. A ``Graph`` is
closed: its inputs and what it computes from them. A loop's body is a graph inside the loop's op, a region as in MLIR.

``x * 2 + 1`` is two nodes; ``Graph([x], [x * 2 + 1])`` prints (``ir/printing.py``) as::

    input x : float64(?,)
    %0 = mul(x, 2.) : float64(?,)
    %1 = add(%0, 1.) : float64(?,)
    return %1

Everything is immutable once recorded: a rewrite returns a new graph and shares what it did not change. Nothing recurses
along the depth of a graph, which is bounded by memory only.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self, TypeVar

import numpy as np

from loopjax.config import conventions
from loopjax.errors import Source, check_name, coded, located, user_source, where
from loopjax.ir.methods import Methods
from loopjax.ir.public_ops import ops, public_op
from loopjax.ir.traits import Trait
from loopjax.ir.types import TensorType, dtype_name


@dataclass(frozen=True)
class Op:
    """The operation of a node: static parameters and type inference. A rule in ``lower/`` runs it."""

    @property
    def name(self) -> str:
        """The name in printed graphs, errors and reports."""
        return type(self).__name__.lower()

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The static parameters of an op of the table, by name."""
        return {}

    def named(self, *names: str) -> bool:
        """Test if the op is one of these ops of the table (``ir/op.py``)."""
        return False

    def has(self, *traits: Trait) -> bool:
        """Test if the op has at least one of these traits."""
        return False

    @property
    def subject(self) -> str:
        """The name of the node in errors."""
        return self.name

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        """Return the types of the outputs; raise ``TypeError`` or ``ValueError`` for inputs that do not fit."""
        raise NotImplementedError

    def length_inputs(self, count: int) -> tuple[int, ...]:
        """Return the positions, among ``count`` inputs, of lengths: they must be numbers before compilation."""
        return ()

    def sized(self, lengths: Sequence[int]) -> Op:
        """Return the op with its length inputs turned into static parameters."""
        return self

    region_fields: ClassVar[tuple[str, ...]] = ()
    """The fields of a subclass that hold its regions."""

    @property
    def regions(self) -> tuple[Graph, ...]:
        """The graphs that the op runs, such as a loop's body."""
        return tuple([getattr(self, name) for name in self.region_fields])

    def with_regions(self, regions: Sequence[Graph]) -> Self:
        """Return the op with other regions."""
        return replace(self, **dict(zip(self.region_fields, regions, strict=True)))


class Variable(Methods["Variable"]):
    """A symbolic array of a known dtype and number of dimensions; its methods and operators record ops.

    ``x == y`` of variables compares identity, so that they can be keys of dictionaries, and ``x == 0`` raises
    ``TypeError``; ``eq(x, y)`` compares elements.

    Parameters
    ----------
    type : TensorType
        The dtype and as much of the shape as is known.
    owner : Apply, optional
        The node that computes the variable; ``None`` for an input.
    index : int, default 0
        The position among the owner's outputs.
    name : str, optional
        The name in errors and printed graphs.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> x = at.dvector("x")
    >>> y = (x * 2).sum()
    >>> y.dtype, y.ndim
    ('float64', 0)
    >>> float(y.eval({x: [1.0, 2.0]}))
    6.0
    """

    __slots__ = ("index", "name", "owner", "scan", "source", "tag", "type")

    def __init__(self, type: TensorType, owner: Apply | None = None, index: int = 0, name: str | None = None) -> None:
        self.type = type
        self.owner = owner
        self.index = index
        self.name = name
        self.scan: str | None = None  # the loop whose fn receives the variable, which has a value within a step only
        self.source = owner.sources[0] if owner is not None and owner.sources else None
        self.tag: Any = None

    @property
    def dtype(self) -> str:
        """The name of the dtype."""
        return self.type.dtype

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self.type.ndim

    @property
    def sources(self) -> tuple[Source, ...]:
        """The lines of the user's program that recorded the variable."""
        if self.owner is not None:
            return self.owner.sources
        return (self.source,) if self.source is not None else ()

    def __reduce__(self) -> tuple[Any, ...]:
        if self.owner is None:
            return _leaf, (self.type, self.name, self.source)
        leaves = [variable for variable in ancestors([self]) if not isinstance(variable, Constant)]
        return _output, (Graph(leaves, [self]),)

    def __repr__(self) -> str:
        label = self.name or (self.owner.op.name if self.owner is not None else "variable")
        return f"<{label}: {self.type}>"

    def _repr_html_(self) -> str:
        return ops.graph_html(self)


V = TypeVar("V", bound=Variable)


def recorded(kind: type[V]) -> type[V]:
    """Return the class in which variables of a kind are recorded: that of the conventions in force."""
    peer = conventions.get()
    return kind if peer is None else peer.classes.get(kind, kind)


@public_op
def input_variable(type: TensorType, name: str | None = None) -> Variable:
    """Return an input that remembers the user's line."""
    check_name(name)
    for size in type.shape:
        if size is not None and (isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 0):
            pattern = tuple(1 if one else None for one in type.shape)
            instead = f"; of this broadcast pattern write shape={pattern}" if isinstance(size, bool) else ""
            raise coded(TypeError, "LJ506")(
                f"shape holds {size!r}; expected sizes from 0 up, and None for one that may vary{instead}"
            )
    dtype_name(type.dtype)
    variable = recorded(Variable)(type, name=name)
    variable.source = user_source()
    return variable


class Constant(Variable):
    """A value that is known when the graph is recorded.

    ``exact`` is the Python number that it was made of, if any: a constant that takes another dtype later is converted
    from that, not from a rounded value.

    Parameters
    ----------
    data : numpy.ndarray
        The value; copied where others may write to it.
    name : str, optional
        The name in errors and printed graphs.
    weak : bool, default False
        A Python number, which takes the dtype of what it meets.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> at.constant([1.0, 2.0], dtype="float64")
    <constant [1. 2.]: float64(2,)>
    """

    __slots__ = ("_key", "data", "exact")

    def __init__(self, data: np.ndarray[Any, Any], name: str | None = None, weak: bool = False) -> None:
        super().__init__(TensorType(dtype_name(data.dtype), data.shape, weak), name=name)
        data = data.copy() if data.flags.writeable or data.base is not None else data
        data.flags.writeable = False
        self.data = data
        self.exact: Any = None
        self._key: tuple[str, tuple[int, ...], bytes] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _constant, (self.data, self.name, self.type.weak, self.exact)

    @property
    def key(self) -> tuple[str, tuple[int, ...], bytes]:
        """A hashable key, equal for equal constants; 1, 1.0, True, 0.0 and -0.0 are all different."""
        if self._key is None:
            raw = self.data.tobytes()
            self._key = self.dtype, self.data.shape, raw if len(raw) <= 64 else hashlib.sha256(raw).digest()
        return self._key

    def __repr__(self) -> str:
        return f"<constant {np.array2string(self.data, threshold=6)}: {self.type}>"


ORDER = itertools.count()
"""The next node's ``Apply.order``."""


class Apply:
    """A node: an op, its inputs and the variables that it computes.

    ``sources`` are the lines of the user's program that it comes from, several where nodes have been merged. ``order``
    counts all nodes as they are made.
    """

    __slots__ = ("inputs", "op", "order", "outputs", "sources")

    def __init__(self, op: Op, inputs: Sequence[Variable], sources: tuple[Source, ...]) -> None:
        self.op = op
        self.order = next(ORDER)
        self.inputs = tuple(inputs)
        self.sources = sources
        try:
            types = op.infer(*[variable.type for variable in self.inputs])
        except (TypeError, ValueError, IndexError) as error:
            raise located(error, f"{op.subject}: {error}", sources) from None
        made = recorded(Variable)
        self.outputs = tuple([made(type, self, index) for index, type in enumerate(types)])

    def __repr__(self) -> str:
        return f"<{self.op.name} of {len(self.inputs)} inputs{where(self.sources)}>"


def apply(op: Op, *inputs: Variable, name: str | None = None) -> tuple[Variable, ...]:
    """Record a node at the user's line and return its outputs."""
    source = user_source()
    outputs = Apply(op, inputs, (source,) if source is not None else ()).outputs
    for output in outputs:
        output.name = name
    return outputs


class Graph:
    """A closed computation from ``inputs`` to ``outputs``: a program, or the region of an op.

    Two graphs are equal where they are the same up to the names of variables and the lines they come from.
    """

    def __init__(self, inputs: Sequence[Variable], outputs: Sequence[Variable]) -> None:
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)

    @cached_property
    def applies(self) -> tuple[Apply, ...]:
        """The nodes in topological order."""
        return tuple(toposort(self.outputs, stop=self.inputs))

    @cached_property
    def key(self) -> tuple[object, ...]:
        """The canonical form that equality compares: types, ops and wiring, not names."""
        number: dict[Variable, object] = {variable: index for index, variable in enumerate(self.inputs)}
        nodes: list[object] = []

        def ref(variable: Variable) -> object:
            if variable in number:
                return number[variable]
            if isinstance(variable, Constant):
                return variable.key, variable.type.weak
            return ("free", id(variable))

        for node_index, node in enumerate(self.applies):
            nodes.append((node.op, tuple(ref(variable) for variable in node.inputs)))
            for output in node.outputs:
                number.setdefault(output, (node_index, output.index))
        types = tuple((variable.type, variable.type.weak) for variable in self.inputs)
        return (types, tuple(nodes), tuple(ref(variable) for variable in self.outputs))

    @cached_property
    def _hash(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Graph) and self._hash == other._hash and self.key == other.key

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the nodes as a flat list: pickling variables by their owners would recurse along the depth."""
        number: dict[Variable, tuple[int, int]] = {v: (-1, i) for i, v in enumerate(self.inputs)}
        nodes = []
        for position, node in enumerate(self.applies):
            reads = [number.get(variable, variable) for variable in node.inputs]
            nodes.append((node.op, reads, node.sources, [output.name for output in node.outputs]))
            for output in node.outputs:
                number.setdefault(output, (position, output.index))
        inputs = [v if v.owner is None else _leaf(v.type, v.name, v.source) for v in self.inputs]
        return _rebuild, (inputs, nodes, [number.get(variable, variable) for variable in self.outputs])

    def __repr__(self) -> str:
        return f"<graph of {len(self.applies)} nodes>"

    @cached_property
    def readers(self) -> dict[Variable, list[Apply]]:
        """The nodes of this graph that read each variable."""
        found: dict[Variable, list[Apply]] = {}
        for node in self.applies:
            for variable in dict.fromkeys(node.inputs):
                found.setdefault(variable, []).append(node)
        return found

    def holds(self, wanted: Callable[[Apply], bool]) -> bool:
        """Test if ``wanted`` holds for a node of the graph or of its regions."""
        return any(wanted(node) or any(region.holds(wanted) for region in node.op.regions) for node in self.applies)

    @cached_property
    def positions(self) -> dict[Apply, int]:
        """The position of each node in ``applies``."""
        return {node: position for position, node in enumerate(self.applies)}

    def rebuilt(
        self,
        replace: Mapping[Variable, Variable] | None = None,
        transform: Callable[[Apply, tuple[Variable, ...]], Sequence[Variable] | None] | None = None,
        inputs: Sequence[Variable] | None = None,
    ) -> Graph:
        """Return the graph with variables replaced and nodes transformed.

        ``transform(node, new_inputs)`` returns variables to stand for the node's outputs, or ``None`` to keep
        its op. ``inputs`` are the new graph's inputs; by default those of this graph, replaced as ``replace`` says.
        Returns this graph itself where nothing changes, so that a caller can tell.
        """
        replace = replace or {}
        new: dict[Variable, Variable] = dict(replace)
        nodes = toposort(self.outputs, stop=itertools.chain(self.inputs, replace)) if replace else self.applies
        for node in nodes:
            node_inputs = node.inputs
            if new and not new.keys().isdisjoint(node_inputs):
                node_inputs = tuple([new.get(variable, variable) for variable in node_inputs])
            outputs = transform(node, node_inputs) if transform is not None else None
            if outputs is None:
                if node_inputs is node.inputs:
                    continue
                outputs = copy_node(node, node_inputs).outputs
            for old, fresh in zip(node.outputs, outputs, strict=True):
                if old is not fresh and old not in replace:
                    new[old] = fresh
        if inputs is None:
            inputs = [new.get(variable, variable) for variable in self.inputs]
        made = Graph(inputs, [new.get(variable, variable) for variable in self.outputs])
        return self if (made.inputs, made.outputs) == (self.inputs, self.outputs) else made


def copy_node(node: Apply, inputs: Sequence[Variable], op: Op | None = None) -> Apply:
    """Return a copy of a node on other inputs, or with another op; it keeps source lines and names."""
    fresh = Apply(op if op is not None else node.op, inputs, node.sources)
    for old, new in zip(node.outputs, fresh.outputs, strict=False):
        new.name = old.name
    return fresh


def toposort(
    outputs: Iterable[Variable],
    stop: Iterable[Variable] = (),
    reads: Callable[[Apply], Sequence[Variable]] | None = None,
) -> list[Apply]:
    """Return the nodes that compute ``outputs`` in topological order: a depth-first search with a stack of its own.

    The search does not pass variables of ``stop``. ``reads`` returns what a node depends on, its inputs by default.
    """
    stopped = set(stop)
    read = reads or (lambda node: node.inputs)
    order: list[Apply] = []
    done: set[Apply] = set()
    for output in outputs:
        if output.owner is None or output in stopped or output.owner in done:
            continue
        stack = [(output.owner, iter(read(output.owner)))]
        while stack:
            node, rest = stack[-1]
            for variable in rest:
                owner = variable.owner
                if owner is not None and owner not in done and variable not in stopped:
                    stack.append((owner, iter(read(owner))))
                    break
            else:
                stack.pop()
                done.add(node)
                order.append(node)
    return order


def check_accepts(inputs: Sequence[Variable], types: Sequence[TensorType], subject: str) -> None:
    """Raise ``TypeError`` where the inputs of a region do not accept values of these types."""
    for variable, type in zip(inputs, types, strict=True):
        if not variable.type.accepts(type):
            raise TypeError(f"{subject} expects {variable.type}, got {type}")


def ancestors(outputs: Iterable[Variable], stop: Iterable[Variable] = ()) -> list[Variable]:
    """Return the leaves of ``outputs``: variables without an owner or in ``stop``, in order of first use."""
    outputs = tuple(outputs)
    stopped = set(stop)
    reads = [variable for node in toposort(outputs, stopped) for variable in node.inputs]
    return list(dict.fromkeys(v for v in (*reads, *outputs) if v.owner is None or v in stopped))


def dependents(nodes: Iterable[Apply], roots: Iterable[Variable]) -> set[Variable]:
    """Return the variables computed by ``nodes`` (in topological order) that depend on ``roots``, and the roots."""
    found = set(roots)
    for node in nodes:
        if any(variable in found for variable in node.inputs):
            found.update(node.outputs)
    return found


def _leaf(type: TensorType, name: str | None, source: Source | None) -> Variable:
    made = recorded(Variable)(type, name=name)
    made.source = source
    return made


def _constant(data: np.ndarray[Any, Any], name: str | None, weak: bool, exact: Any) -> Constant:
    made = recorded(Constant)(data, name, weak)
    made.exact = exact
    return made


def _output(graph: Graph) -> Variable:
    return graph.outputs[0]


def _rebuild(inputs: Sequence[Variable], nodes: Sequence[Any], outputs: Sequence[Any]) -> Graph:
    """Return the graph from the flat form of ``Graph.__reduce__``."""
    computed: list[tuple[Variable, ...]] = []

    def read(reference: Any) -> Variable:
        if isinstance(reference, Variable):
            return reference
        position, index = reference
        found: Variable = inputs[index] if position < 0 else computed[position][index]
        return found

    for op, reads, sources, names in nodes:
        node = Apply(op, [read(reference) for reference in reads], sources)
        for output, name in zip(node.outputs, names, strict=True):
            output.name = name
        computed.append(node.outputs)
    return Graph(inputs, [read(reference) for reference in outputs])
