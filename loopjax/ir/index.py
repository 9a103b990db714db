"""Index patterns: the parsed, hashable form of ``x[key]``, read by every stage from recording to lowering.

The ops ``index``, ``set`` and ``inc`` carry an ``IndexPattern`` as the parameter ``pattern`` and the bounds of its
slices as the parameter ``lengths``; index arrays are inputs of the node. So ``x[1, a:, i]`` is a node with the inputs
``x, i, a``, the pattern ``(1, Slice(start=0), Array())`` and the lengths ``(None,)``, where ``None`` is a hole that the
input ``a`` fills before compiling. The bounds stand apart because ``TableOp`` fills the lengths of all ops alike.

A pattern has one entry for each axis of ``x`` and one for each new axis. Entries follow NumPy: an ``int`` picks a
constant position, ``None`` is a new axis, ``Slice`` a slice, ``Array`` an index array or symbolic integer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Any

from loopjax.errors import Source
from loopjax.ir.graph import Apply, Variable
from loopjax.ir.op import TableOp, table_op


@dataclass(frozen=True)
class Slice:
    """``start:stop:step``; each is ``None`` or the position of the bound in the op's ``lengths``."""

    start: int | None = None
    stop: int | None = None
    step: int | None = None

    def resolve(self, lengths: Sequence[Any]) -> slice:
        """Slice with its bounds filled in."""
        return slice(*(None if at is None else lengths[at] for at in (self.start, self.stop, self.step)))


@dataclass(frozen=True)
class Array:
    """Entry that takes the next index input of the node.

    A constant input is described by its least and greatest position, checked against the axis once its size is known;
    one that was a boolean mask also by the mask's size. Other inputs are described by bounds of these, as far as
    ``rewrite/value_ranges.py`` knows them to be within the axis. It finds out, too, which vectors of positions are
    ``distinct``: none is negative, and no two are equal.
    """

    least: int | None = None
    greatest: int | None = None
    mask_size: int | None = None
    distinct: bool = False

    @property
    def wraps(self) -> bool:
        """True where a position may be negative, which counts from the end."""
        return self.least is None or self.least < 0

    @property
    def is_within(self) -> bool:
        """True where all positions are known to be within the axis."""
        return self.least is not None and self.greatest is not None


Entry = int | Slice | Array | None

WHOLE = Slice()
"""Slice of a whole axis."""


@dataclass(frozen=True)
class IndexPattern:
    """Entries of an index, one for each axis and each new axis, in order.

    ``axis_entries`` are those of the axes of the indexed array, new axes left out.
    """

    entries: tuple[Entry, ...]

    @classmethod
    def parse(cls, key: Iterable[Entry | slice], ndim: int = 0) -> tuple[IndexPattern, tuple[Any, ...]]:
        """Parse a key into its pattern and slice bounds; axes up to ``ndim`` without an entry are read whole."""
        entries: list[Entry] = []
        lengths: list[Any] = []
        for entry in key:
            if isinstance(entry, slice):
                bounds = (entry.start, entry.stop, entry.step)
                numbers = count(len(lengths))
                entries.append(Slice(*(None if bound is None else next(numbers) for bound in bounds)))
                lengths += [bound for bound in bounds if bound is not None]
            else:
                entries.append(entry)
        return cls((*entries, *[WHOLE] * (ndim - len(entries)))), tuple(lengths)

    def key(self, lengths: Sequence[Any], arrays: Iterable[Any] = ()) -> tuple[Any, ...]:
        """Index in NumPy's form, with these slice bounds and index arrays; ``Array`` entries stay without arrays."""
        rest = iter(arrays)

        def resolved(entry: Entry) -> Any:
            if isinstance(entry, Slice):
                return entry.resolve(lengths)
            return next(rest, entry) if isinstance(entry, Array) else entry

        return tuple(map(resolved, self.entries))

    @cached_property
    def axis_positions(self) -> tuple[int, ...]:
        """Position among ``entries`` of the entry of each axis."""
        return tuple(position for position, entry in enumerate(self.entries) if entry is not None)

    @cached_property
    def axis_entries(self) -> tuple[Entry, ...]:
        return tuple(self.entries[position] for position in self.axis_positions)

    @cached_property
    def array_axes(self) -> tuple[int, ...]:
        """Axis that each index input picks from."""
        return tuple(axis for axis, entry in enumerate(self.axis_entries) if isinstance(entry, Array))

    def rows(self, axis: int, lengths: Sequence[Any], size: int) -> range | None:
        """Positions taken along an axis of ``size`` elements, in order.

        ``None`` where an index input decides, or for a constant position out of bounds.
        """
        entry = self.axis_entries[axis]
        if isinstance(entry, Slice):
            return range(*entry.resolve(lengths).indices(size))
        if isinstance(entry, int) and -size <= entry < size:
            return range(entry % size, entry % size + 1)
        return None

    @cached_property
    def arrays(self) -> tuple[Array, ...]:
        """Entry of each index input."""
        return tuple(entry for entry in self.entries if isinstance(entry, Array))

    def with_arrays(self, arrays: Iterable[Array]) -> IndexPattern:
        """Pattern with other entries of the index inputs."""
        rest = iter(arrays)
        return IndexPattern(tuple(next(rest) if isinstance(entry, Array) else entry for entry in self.entries))

    @cached_property
    def is_whole(self) -> bool:
        """True where the index reads the array unchanged."""
        return all(entry == WHOLE for entry in self.entries)

    def picked(self, axis: int) -> int | None:
        """Constant position picked on ``axis`` where every other axis is read whole; else ``None``."""
        rest = IndexPattern((*self.entries[:axis], *self.entries[axis + 1 :]))
        entry = self.entries[axis] if axis < len(self.entries) else None
        return entry if isinstance(entry, int) and rest.is_whole else None

    @cached_property
    def kept_axes(self) -> tuple[int | None, ...]:
        """Source axis of each axis of the result, ``None`` for a new one; axes of index arrays are left out."""
        axis_of = {position: axis for axis, position in enumerate(self.axis_positions)}
        return tuple(axis_of.get(position) for position, entry in enumerate(self.entries) if not _picks(entry))

    @cached_property
    def array_position(self) -> int:
        """Position in the result of the axes of index arrays: that of the first integer entry where all are adjacent,
        else 0, as in NumPy."""
        picks = [position for position, entry in enumerate(self.entries) if _picks(entry)]
        return picks[0] if picks[-1] - picks[0] == len(picks) - 1 else 0


def _picks(entry: Entry) -> bool:
    return isinstance(entry, (int, Array))


def index_op(key: Iterable[Entry | slice], ndim: int = 0) -> TableOp:
    """Op that reads a key whose slice bounds are integers; the rest of ``ndim`` axes is read whole."""
    pattern, lengths = IndexPattern.parse(key, ndim)
    return table_op("index", pattern=pattern, lengths=lengths)


def static_read(x: Variable, *key: int | slice, sources: tuple[Source, ...] = ()) -> Variable:
    """Record ``x[key]`` for integers and slices with integer bounds."""
    return Apply(index_op(key, x.ndim), [x], sources).outputs[0]


def index_inputs(node: Apply) -> list[tuple[int, int]]:
    """Position and axis of each index input of an ``index``, ``set`` or ``inc``; empty for another node."""
    if not node.op.has("gather", "scatter"):
        return []
    first = 1 if node.op.has("gather") else 2
    return list(enumerate(node.op.arguments["pattern"].array_axes, first))


def view_axes(node: Apply) -> tuple[int | None, ...] | None:
    """Source axis of each axis of the result, ``None`` for a new one, of a node that only moves whole axes."""
    if node.op.named("dimshuffle"):
        return tuple(node.op.arguments["pattern"])
    if node.op.named("transpose"):
        return tuple(node.op.arguments["axes"])
    pattern = node.op.arguments.get("pattern") if node.op.named("index") else None
    return pattern.kept_axes if pattern is not None and set(pattern.entries) <= {WHOLE, None} else None
