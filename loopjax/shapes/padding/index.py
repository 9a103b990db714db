"""Reading and writing by index where axes have room to spare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from loopjax.ir.graph import Apply, Constant, Variable
from loopjax.ir.op import Entry, table_op
from loopjax.shapes.padding.rules import iota, resize, rule, taken
from loopjax.shapes.padding.scope import Axis, Length, PaddingScope, plain

WHOLE: Entry = ("slice", None, None, None)


class _Key(NamedTuple):
    """An index: its entries, the arrays of those that are ``at``, and its lengths, each an int or a variable."""

    pattern: tuple[Entry, ...]
    arrays: list[Variable]
    lengths: list[Length]


def _key(node: Apply, given: Sequence[Variable]) -> _Key:
    arguments = plain(node.op)
    pattern: tuple[Entry, ...] = arguments["pattern"]
    count = sum(entry[0] == "at" for entry in pattern)
    symbolic = iter(given[count:])
    lengths = [next(symbolic) if one is None else one for one in arguments["lengths"]]
    return _Key(pattern, list(given[:count]), lengths)


@rule("index")
def _index(level: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    x, key = inputs[0], _key(node, inputs[1:])
    x, key = _read_slices(level, node, x, key)
    key = _positions(level, x, key)
    arrays, found = _together(level, key.arrays)
    out = level.sized("index", x, *arrays, lengths=key.lengths, pattern=key.pattern)
    axes, fresh = _result_axes(level, x, key.pattern, arrays, found)
    return level.filled(out, axes, fresh)


@rule("set", "inc")
def _write(level: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    x, value, key = inputs[0], inputs[1], _key(node, inputs[2:])
    sliced = any(entry[0] == "slice" and entry != WHOLE for entry in key.pattern)
    if sliced or any(entry[0] == "new" for entry in key.pattern):
        return level.apply(node.op, *(level.exact(one) for one in inputs))[0]
    arrays, along = _together(level, key.arrays)
    part = _part(level, x, key.pattern, arrays, along)
    shift = len(part) - value.ndim
    fresh = {place - shift: one for place, one in enumerate(part) if one is not None and place >= shift}
    value = level.fitted(value, {axis: one for axis, one in fresh.items() if value.type.shape[axis] != 1})
    known = level.of(x)
    key = _positions(level, x, key._replace(arrays=arrays))
    # What is written past the count of an index is written nowhere.
    places = [level.masked(one, list(level.of(one)), "greatest") for one in key.arrays]
    op = table_op(node.op.name, pattern=key.pattern, lengths=())
    return level.filled(level.apply(op, x, value, *places)[0], known)


def _read_slices(level: PaddingScope, node: Apply, x: Variable, key: _Key) -> tuple[Variable, _Key]:
    """The slices that padding concerns, read: what is left of the index reads those axes whole."""
    pattern = list(key.pattern)
    axis = 0
    for place, entry in enumerate(key.pattern):
        if entry[0] == "new":
            continue
        if entry[0] == "slice" and entry != WHOLE:
            bounds = [None if one is None else key.lengths[one] for one in entry[1:]]
            varies = any(isinstance(one, Variable) and level.varies(one) for one in bounds)
            if varies or level.axis(x, axis) is not None:
                x = _sliced(level, x, axis, bounds)
                pattern[place] = WHOLE
        axis += 1
    used: list[Length] = []
    for place, entry in enumerate(pattern):
        if entry[0] == "slice" and entry != WHOLE:
            bounds = [None if one is None else key.lengths[one] for one in entry[1:]]
            places = []
            for one in bounds:
                places.append(None if one is None else len(used))
                used.extend([] if one is None else [one])
            pattern[place] = ("slice", *places)
    return x, _Key(tuple(pattern), key.arrays, used)


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
    lengths = [one for one in bounds if one is not None]
    places = iter(range(len(lengths)))
    entry = ("slice", *(None if one is None else next(places) for one in bounds))
    pattern = tuple(entry if place == axis else WHOLE for place in range(x.ndim))
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


def _positions(level: PaddingScope, x: Variable, key: _Key) -> _Key:
    """The index with positions along padded axes counted from the front, and those past the count out of bounds."""
    pattern = list(key.pattern)
    arrays: list[Variable] = []
    given = iter(key.arrays)
    axis = 0
    for place, entry in enumerate(pattern):
        if entry[0] == "new":
            continue
        padded = level.axis(x, axis)
        index = next(given) if entry[0] == "at" else level.scalar(entry[1]) if entry[0] == "int" else None
        if index is not None and padded is not None:
            pattern[place] = ("at",)
            arrays.append(_inside(level, index, padded, axis))
        elif entry[0] == "at" and index is not None:
            arrays.append(index)
        axis += 1
    return key._replace(pattern=tuple(pattern), arrays=arrays)


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


def _together(level: PaddingScope, arrays: Sequence[Variable]) -> tuple[list[Variable], dict[int, Axis]]:
    """The index arrays with equal room, and the padded axes of what they broadcast to."""
    ndim = max((one.ndim for one in arrays), default=0)
    places = [{axis: axis + ndim - one.ndim for axis in range(one.ndim)} for one in arrays]
    given, axes = level.agreed(arrays, places)
    return given, dict(axes)


def _result_axes(
    level: PaddingScope, x: Variable, pattern: Sequence[Entry], arrays: Sequence[Variable], found: dict[int, Axis]
) -> tuple[dict[int, Axis], list[int]]:
    """The padded axes of what an index reads, and which of them are those of index arrays."""
    part = _part(level, x, pattern, arrays, found)
    axes = {place: one for place, one in enumerate(part) if one is not None}
    return axes, [place for place, one in axes.items() if one in found.values()]


def _part(
    level: PaddingScope, x: Variable, pattern: Sequence[Entry], arrays: Sequence[Variable], found: dict[int, Axis]
) -> list[Axis | None]:
    """For each axis of what an index reads, what is known of it."""
    kept: list[Axis | None] = []
    picked: list[int] = []
    positions: list[int] = []
    axis = 0
    for place, entry in enumerate(pattern):
        if entry[0] == "new":
            kept.append(None)
            continue
        if entry[0] == "slice":
            kept.append(level.axis(x, axis))
        else:
            picked.append(len(kept))
            positions.append(place)
        axis += 1
    ndim = max((one.ndim for one in arrays), default=0)
    if ndim:
        adjacent = positions[-1] - positions[0] == len(positions) - 1
        place = picked[0] if adjacent else 0
        kept[place:place] = [found.get(one) for one in range(ndim)]
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
