"""Reading and writing by index where axes have room to spare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loopjax.ir.graph import Apply, Constant, Variable
from loopjax.ir.index import WHOLE, Array, IndexPattern, Slice
from loopjax.ir.op import table_op
from loopjax.shapes.padding.rules import iota, resize, rule, taken
from loopjax.shapes.padding.scope import Axis, Length, PaddingScope, plain

Arrays = Sequence[Variable]


def _bounds(node: Apply, symbolic: Sequence[Variable]) -> list[Length]:
    """The slice bounds of an index, each an int or a variable."""
    rest = iter(symbolic)
    return [next(rest) if bound is None else bound for bound in plain(node.op)["lengths"]]


@rule("index")
def _index(level: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    pattern: IndexPattern = plain(node.op)["pattern"]
    end = 1 + len(pattern.array_axes)
    x, key = _read_slices(level, inputs[0], pattern, _bounds(node, inputs[end:]))
    pattern, bounds = IndexPattern.parse(key)
    pattern, arrays = _positions(level, x, pattern, inputs[1:end])
    arrays, found = _together(level, arrays)
    out = level.sized("index", x, *arrays, lengths=bounds, pattern=pattern)
    axes = {place: one for place, one in enumerate(_part(level, x, pattern, arrays, found)) if one is not None}
    return level.filled(out, axes, [place for place, one in axes.items() if one in found.values()])


@rule("set", "inc")
def _write(level: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    pattern: IndexPattern = plain(node.op)["pattern"]
    if any(entry is None or (isinstance(entry, Slice) and entry != WHOLE) for entry in pattern.entries):
        return level.apply(node.op, *(level.exact(one) for one in inputs))[0]
    x, value = inputs[:2]
    arrays, along = _together(level, inputs[2:])
    part = _part(level, x, pattern, arrays, along)
    shift = len(part) - value.ndim
    fresh = {place - shift: one for place, one in enumerate(part) if one is not None and place >= shift}
    value = level.fitted(value, {axis: one for axis, one in fresh.items() if value.type.shape[axis] != 1})
    pattern, arrays = _positions(level, x, pattern, arrays)
    # What is written past the count of an index is written nowhere.
    places = [level.masked(one, list(level.of(one)), "greatest") for one in arrays]
    op = table_op(node.op.name, pattern=pattern, lengths=())
    return level.filled(level.apply(op, x, value, *places)[0], level.of(x))


def _read_slices(
    level: PaddingScope, x: Variable, pattern: IndexPattern, lengths: Sequence[Length]
) -> tuple[Variable, list[Any]]:
    """The slices that padding concerns, read: what is left of the index reads those axes whole."""
    key = list(pattern.key(lengths))
    for axis, place in enumerate(pattern.places):
        entry = key[place]
        if pattern.entries[place] == WHOLE or not isinstance(entry, slice):
            continue
        bounds = (entry.start, entry.stop, entry.step)
        varies = any(isinstance(one, Variable) and level.varies(one) for one in bounds)
        if varies or level.axis(x, axis) is not None:
            x, key[place] = _sliced(level, x, axis, bounds), WHOLE
    return x, key


def _sliced(level: PaddingScope, x: Variable, axis: int, bounds: Sequence[Length | None]) -> Variable:
    """``x[start:stop:step]`` along one axis, its length a value."""
    start, stop, step = bounds
    stride = 1 if step is None else step
    if isinstance(stride, Variable):
        x = level.exact(x, [axis])
        return _static_slice(level, x, axis, bounds)
    count, size = level.integer(level.count(x, axis)), level.size(x, axis)
    first, rows = _rows(level, count, start, stop, stride)
    grows = _grows(start, stop, stride)
    most = _rows(level, size, start, stop, stride)[1] if grows else _strided(level, size, stride)
    if level.known(rows) and not (grows and level.axis(x, axis) is not None):
        room = level.capacity(rows)
        most = most if room is None else level.calc("minimum", most, room)
    rest = {place: one for place, one in level.of(x).items() if place != axis}
    if stride == 1 and (start is None or (isinstance(start, int) and start >= 0)):
        if start:
            x = _static_slice(level, x, axis, [start, None, None])
        part = resize(level, x, axis, most)
    else:
        places = level.emit("add", level.emit("mul", iota(level, most), level.scalar(stride)), first)
        part = taken(level, x, axis, places, size)
    return level.filled(part, {**rest, axis: Axis(rows, most)}, [axis])


def _static_slice(level: PaddingScope, x: Variable, axis: int, bounds: Sequence[Length | None]) -> Variable:
    pattern, lengths = IndexPattern.parse([*[WHOLE] * axis, slice(*bounds)], x.ndim)
    return level.sized("index", x, lengths=lengths, pattern=pattern)


def _grows(start: Length | None, stop: Length | None, step: int) -> bool:
    """Whether a longer axis never gives fewer rows, so that the largest length gives the most."""
    ends = [one for one in (start, stop) if one is not None]
    if step < 0:
        return not ends
    if any(isinstance(one, Variable) for one in ends):
        return False
    # From the end to the front, as in [-3:2], a longer axis may give fewer.
    return not (isinstance(start, int) and start < 0 and isinstance(stop, int) and stop >= 0)


def _strided(level: PaddingScope, size: Variable, step: int) -> Variable:
    steps = abs(step)
    return size if steps == 1 else level.calc("floor_div", level.calc("add", size, steps - 1), steps)


def _rows(
    level: PaddingScope, length: Variable, start: Length | None, stop: Length | None, step: int
) -> tuple[Variable, Variable]:
    """Where a slice of an axis of this length starts, and how many rows it has."""
    if step > 0:
        first = _clipped(level, start, length, 0) if start is not None else level.scalar(0)
        last = _clipped(level, stop, length, 0) if stop is not None else length
        span = _distance(level, length, start, stop, first, last)
    else:
        highest = level.calc("sub", length, 1)
        first = highest if start is None else level.calc("minimum", _clipped(level, start, length, -1), highest)
        end = level.scalar(-1) if stop is None else level.calc("minimum", _clipped(level, stop, length, -1), highest)
        span = length if start is None and stop is None else level.calc("maximum", level.calc("sub", first, end), 0)
    return first, _strided(level, span, step)


def _distance(
    level: PaddingScope, length: Variable, start: Length | None, stop: Length | None, first: Variable, last: Variable
) -> Variable:
    """``last - first``, not below 0; said alike for ``[k:]`` and ``[:-k]``, so that they are seen to be equal."""
    if stop is None and isinstance(start, int) and start >= 0:
        return level.calc("maximum", level.calc("sub", length, start), 0) if start else length
    if stop is None and isinstance(start, int):
        return level.calc("minimum", length, -start)
    if start in (None, 0):
        return last
    return level.calc("maximum", level.calc("sub", last, first), 0)


def _clipped(level: PaddingScope, bound: Length, length: Variable, lowest: int) -> Variable:
    """A bound counted from the front, and inside of the axis."""
    if isinstance(bound, int):
        if bound >= 0:
            return level.calc("minimum", length, bound)
        return level.calc("maximum", level.calc("sub", length, -bound), lowest)
    given = level.integer(bound)
    if isinstance(given, Constant):
        return _clipped(level, int(given.data), length, lowest)
    from_end = level.calc("maximum", level.calc("add", given, length), lowest)
    low = level.emit("lt", given, level.scalar(0))
    return level.emit("switch", low, from_end, level.calc("minimum", given, length))


def _positions(
    level: PaddingScope, x: Variable, pattern: IndexPattern, arrays: Arrays
) -> tuple[IndexPattern, list[Variable]]:
    """The index with positions along padded axes counted from the front, and those past the count out of bounds."""
    entries, rest = list(pattern.entries), iter(arrays)
    found: list[Variable] = []
    for axis, place in enumerate(pattern.places):
        entry, padded = entries[place], level.axis(x, axis)
        index = next(rest) if isinstance(entry, Array) else level.scalar(entry) if isinstance(entry, int) else None
        if index is not None and padded is not None:
            entries[place] = Array()
            found.append(_inside(level, index, padded, axis))
        elif isinstance(entry, Array) and index is not None:
            found.append(index)
    return IndexPattern(tuple(entries)), found


def _inside(level: PaddingScope, index: Variable, padded: Axis, axis: int) -> Variable:
    """Positions from the front; out of bounds where there is no such row."""
    count = padded.count
    if isinstance(index, Constant) and index.ndim == 0:
        position = int(index.data)
        least = position + 1 if position >= 0 else -position
        message = f"{level.op}: index {position} is out of bounds for axis {axis}"
        level.require(">=", count, level.scalar(least), message, "index")
    known = level.of(index)
    wide = index if index.dtype == "int64" else level.emit("cast", index, dtype="int64")
    from_front = level.emit("switch", level.emit("lt", wide, level.scalar(0)), level.emit("add", wide, count), wide)
    good = level.emit("lt", from_front, count)
    good = level.emit("and_", good, level.emit("ge", from_front, level.scalar(0)))
    return level.note(level.emit("switch", good, from_front, padded.size), known)


def _together(level: PaddingScope, arrays: Arrays) -> tuple[list[Variable], dict[int, Axis]]:
    """The index arrays with equal room, and the padded axes of what they broadcast to."""
    ndim = max((one.ndim for one in arrays), default=0)
    places = [{axis: axis + ndim - one.ndim for axis in range(one.ndim)} for one in arrays]
    given, axes = level.agreed(arrays, places)
    return given, dict(axes)


def _part(
    level: PaddingScope, x: Variable, pattern: IndexPattern, arrays: Arrays, found: dict[int, Axis]
) -> list[Axis | None]:
    """For each axis of what an index reads, what is known of it."""
    kept = [None if axis is None else level.axis(x, axis) for axis in pattern.kept_axes]
    ndim = max((one.ndim for one in arrays), default=0)
    if ndim:
        kept[pattern.array_place : pattern.array_place] = [found.get(one) for one in range(ndim)]
    return kept


@rule("window")
def _window(level: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    """A part of an axis that starts at a run-time value, and whose length is one."""
    arguments = plain(node.op)
    along: Any = arguments["axes"]
    x, rest = inputs[0], inputs[1:]
    starts, holes = rest[: len(along)], iter(rest[len(along) :])
    sizes = [level.scalar(one) if one is not None else next(holes) for one in arguments["lengths"]]
    for axis, start, size in zip(along, starts, sizes, strict=True):
        if level.axis(x, axis) is None and not level.varies(size):
            x = _plain_window(level, x, axis, start, size)
            continue
        count = level.integer(size)
        room = level.capacity(count) if level.known(count) else None
        most = level.size(x, axis) if room is None else level.calc("minimum", room, level.size(x, axis))
        known = {place: one for place, one in level.of(x).items() if place != axis}
        places = level.emit("add", iota(level, most), level.integer(start))
        part = taken(level, x, axis, places, level.size(x, axis))
        x = level.filled(part, {**known, axis: Axis(count, most)}, [axis])
    return x


def _plain_window(level: PaddingScope, x: Variable, axis: int, start: Variable, size: Variable) -> Variable:
    known = level.of(x)
    return level.note(level.sized("window", x, start, lengths=[size], axes=(axis,), inner=False), known)
