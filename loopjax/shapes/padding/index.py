"""Padding rules for reading and writing by index.

A slice of a padded axis, or with bounds that are values, becomes a gather of as many rows as the result can have at
most: ``x[start:stop:step]`` is ``take(x, iota(capacity) * step + first)`` of length ``rows``, both computed as Python's
``slice.indices`` does. Positions in index arrays are counted from the front, and those that are past the length of the
axis are moved out of bounds, as they would be without padding.

A write reads its slices, writes what the rest of the index picks of them, and puts the rows back by a selection.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from loopjax.errors import where
from loopjax.ir.dim import Dim, constant_bound
from loopjax.ir.graph import Apply, Constant, Variable
from loopjax.ir.index import WHOLE, Array, IndexPattern
from loopjax.ir.op import table_op
from loopjax.shapes.padding.builder import Length
from loopjax.shapes.padding.rules import lengths_of, require_enough, rule
from loopjax.shapes.padding.scope import Axes, PaddedAxis, PaddingScope
from loopjax.shapes.preconditions import LENGTH, OTHER


@rule("index")
def _index(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    pattern: IndexPattern = node.op.arguments["pattern"]
    end = 1 + len(pattern.array_axes)
    x, key, _ = _read_slices(scope, inputs[0], pattern, lengths_of(node, inputs[end:]))
    pattern, bounds = IndexPattern.parse(key)
    if pattern.is_whole:
        return x
    pattern, arrays = _from_front(scope, x, pattern, inputs[1:end])
    arrays, array_axes = scope.broadcast(arrays)
    # Positions past the length of an index array read row 0, which is there where the axis is empty too.
    arrays = [scope.masked(one, list(scope.axes(one)), "zero") for one in arrays]
    out = scope.emit_sized("index", x, *arrays, lengths=bounds, pattern=pattern)
    axes = _result_axes(scope, x, pattern, arrays, array_axes)
    return scope.filled(out, axes, [place for place, padded in axes.items() if padded in array_axes.values()])


@rule("set", "inc")
def _write(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    """Slices that padding concerns are read, written to by the rest of the index, and put back."""
    pattern: IndexPattern = node.op.arguments["pattern"]
    x, value = inputs[:2]
    end = 2 + len(pattern.array_axes)
    part, key, slices = _read_slices(scope, x, pattern, lengths_of(node, inputs[end:]))
    pattern, bounds = IndexPattern.parse(key)
    part = _written(scope, node.op.name, part, value, pattern, bounds, inputs[2:end])
    for one in reversed(slices):
        part = _put_rows(scope, one, part)
    return part


def _written(
    scope: PaddingScope,
    name: str,
    x: Variable,
    value: Variable,
    pattern: IndexPattern,
    bounds: Sequence[Length],
    arrays: Sequence[Variable],
) -> Variable:
    """Write through the entries of an index whose slices padding does not concern."""
    arrays, array_axes = scope.broadcast(arrays)
    written = _result_axes(scope, x, pattern, arrays, array_axes)
    # The value broadcasts to the part that is written.
    missing = len(pattern.kept_axes) + max((one.ndim for one in arrays), default=0) - value.ndim
    axes = {place - missing: padded for place, padded in written.items() if place >= missing}
    value = scope.fit(value, {axis: padded for axis, padded in axes.items() if not scope.stretches(value, axis)})
    pattern, arrays = _from_front(scope, x, pattern, arrays)
    # Positions past the length of an index array are out of bounds: nothing is written there.
    positions = [scope.masked(one, list(scope.axes(one)), "greatest") for one in arrays]
    return scope.filled(scope.emit_sized(name, x, value, *positions, lengths=bounds, pattern=pattern), scope.axes(x))


class _SliceRows(NamedTuple):
    """Rows ``first``, ``first + step``, ... of an axis of ``x``, which are the ``length`` valid rows of ``part``."""

    x: Variable
    axis: int
    part: Variable
    first: Variable
    length: Variable
    step: Length
    shift: int | None = None
    """The number of rows before the first, where a number says it and the step is 1."""


def _put_rows(scope: PaddingScope, rows: _SliceRows, part: Variable) -> Variable:
    """Return the array with the rows of ``part`` in the place of those that were read."""
    x, axis, _, first, length, step, shift = rows
    offset = scope.emit("sub", scope.iota(scope.rows(x, axis)), first)
    number = scope.emit("floor_div", offset, step)
    skips = not isinstance(step, int) or abs(step) > 1
    is_row = scope.emit("eq", scope.emit("mod", offset, step), 0) if skips else None
    if shift is None:
        new = scope.take(part, axis, number, scope.rows(part, axis))
    else:
        before = _static_slice(scope, x, axis, (None, shift, None)) if shift else None
        joined = part if before is None else scope.emit("join", before, part, axis=axis)
        new = scope.resize(joined, axis, scope.rows(x, axis))
    return scope.filled(_chosen(scope, number, length, axis, new, x, is_row), scope.axes(x))


def _result_axes(
    scope: PaddingScope, x: Variable, pattern: IndexPattern, arrays: Sequence[Variable], array_axes: Axes
) -> dict[int, PaddedAxis]:
    """Return the padded axes of what an index picks of ``x``."""
    axes = [None if axis is None else scope.axis(x, axis) for axis in pattern.kept_axes]
    ndim = max((one.ndim for one in arrays), default=0)
    if ndim:
        axes[pattern.array_position : pattern.array_position] = [array_axes.get(axis) for axis in range(ndim)]
    return {place: padded for place, padded in enumerate(axes) if padded is not None}


# Slices.


def _read_slices(
    scope: PaddingScope, x: Variable, pattern: IndexPattern, lengths: Sequence[Length]
) -> tuple[Variable, list[Any], list[_SliceRows]]:
    """Read the slices that padding concerns; the rest of the index reads those axes whole."""
    key = list(pattern.key(lengths))
    concerned: list[tuple[int, int]] = []
    for axis, place in enumerate(pattern.axis_positions):
        entry = key[place]
        if pattern.entries[place] == WHOLE or not isinstance(entry, slice):
            continue
        bounds = [bound for bound in (entry.start, entry.stop, entry.step) if isinstance(bound, Variable)]
        if any(scope.varies(bound) for bound in bounds) or scope.axis(x, axis) is not None:
            concerned.append((axis, place))
    slices: list[_SliceRows] = []
    for axis, place in concerned:
        slices.append(_sliced(scope, x, axis, key[place]))
        x, key[place] = slices[-1].part, WHOLE
    return x, key, slices


def _sliced(scope: PaddingScope, x: Variable, axis: int, entry: slice) -> _SliceRows:
    """Read a slice along one axis, its length a value."""
    start, stop, step = entry.start, entry.stop, 1 if entry.step is None else entry.step
    step = step if isinstance(step, int) else scope.integer(step)
    size = scope.rows(x, axis)
    first, length = _slice_rows(scope, scope.integer(scope.length(x, axis)), start, stop, step)
    grows = _grows(start, stop, step)
    least_step = abs(step) if isinstance(step, int) else 1
    most = _slice_rows(scope, size, start, stop, step)[1] if grows else scope.ceil_div(size, least_step)
    if not (grows and scope.axis(x, axis) is not None):
        most = _limited(scope, length, most)
    axes = {**scope.other_axes(x, axis), axis: PaddedAxis(length, most)}
    shift = 0 if start is None else start if isinstance(start, int) and start >= 0 else None
    shift = shift if isinstance(step, int) and step == 1 else None
    if shift is not None:
        rows = scope.resize(_static_slice(scope, x, axis, (shift, None, None)) if shift else x, axis, most)
    else:
        positions = scope.emit("add", scope.emit("mul", scope.iota(most), step), first)
        rows = scope.take(x, axis, positions, size)
    return _SliceRows(x, axis, scope.filled(rows, axes, [axis]), first, length, step, shift)


def _limited(scope: PaddingScope, length: Variable, most: Variable) -> Variable:
    """Return a capacity for a length that is no greater than ``most``."""
    number = constant_bound(length)
    if number is not None:
        capacity: Variable | None = scope.scalar(number)
    elif scope.is_known(length):
        capacity = scope.capacity(length)
    else:
        capacity = None if scope.parent is None else scope.upper_bound(Dim.of(length), by_elements=False)
    if capacity is None or not scope.is_known(capacity):
        return most
    return scope.calc("minimum", most, capacity)


def _static_slice(scope: PaddingScope, x: Variable, axis: int, bounds: Sequence[Length | None]) -> Variable:
    pattern, lengths = IndexPattern.parse([*[WHOLE] * axis, slice(*bounds)], x.ndim)
    return scope.emit_sized("index", x, lengths=lengths, pattern=pattern)


def _grows(start: Length | None, stop: Length | None, step: Length) -> bool:
    """Test if a longer axis never gives fewer rows, so that the capacity gives the most."""
    if not isinstance(step, int):
        return False
    ends = [end for end in (start, stop) if end is not None]
    if step < 0:
        return not ends
    if any(isinstance(end, Variable) for end in ends):
        return False
    # From the end to the front, as in [-3:2], a longer axis may give fewer.
    return not (isinstance(start, int) and start < 0 and isinstance(stop, int) and stop >= 0)


def _slice_rows(
    scope: PaddingScope, length: Variable, start: Length | None, stop: Length | None, step: Length
) -> tuple[Variable, Variable]:
    """Return the first position of a slice of an axis of this length, and its number of rows."""
    if isinstance(step, int):
        first, span = _span(scope, length, start, stop, step > 0)
        return first, scope.ceil_div(span, abs(step))
    message = f"{scope.op}: a slice has step 0; expected another step, write a step of 1{where(scope.sources)}"
    scope.assert_holds(scope.emit("neq", step, 0), message, "LJ205")
    is_backwards = scope.emit("lt", step, 0)
    ends = zip(*(_span(scope, length, start, stop, forwards) for forwards in (False, True)), strict=True)
    first, span = (scope.emit("switch", is_backwards, *pair) for pair in ends)
    return first, scope.ceil_div(span, scope.emit("abs", step))


def _span(
    scope: PaddingScope, length: Variable, start: Length | None, stop: Length | None, forwards: bool
) -> tuple[Variable, Variable]:
    """Return the first position of a slice, and the number of positions from there to its end in this direction."""
    if forwards:
        first = scope.scalar(0) if start is None else _clipped(scope, start, length, 0)
        last = length if stop is None else _clipped(scope, stop, length, 0)
        span = _distance(scope, length, start, stop, first, last)
    else:
        highest = scope.calc("sub", length, 1)
        first = highest if start is None else scope.calc("minimum", _clipped(scope, start, length, -1), highest)
        end = scope.scalar(-1) if stop is None else scope.calc("minimum", _clipped(scope, stop, length, -1), highest)
        span = length if start is None and stop is None else scope.calc("maximum", scope.calc("sub", first, end), 0)
    return first, span


def _distance(
    scope: PaddingScope, length: Variable, start: Length | None, stop: Length | None, first: Variable, last: Variable
) -> Variable:
    """Return ``last - first``, not below 0, in the same form for ``[k:]`` and ``[:-k]``: they are seen to be equal."""
    if stop is None and isinstance(start, int):
        if start < 0:
            return scope.calc("minimum", length, -start)
        return scope.calc("maximum", scope.calc("sub", length, start), 0) if start else length
    from_front = not isinstance(start, Variable) and start in (None, 0)
    return last if from_front else scope.calc("maximum", scope.calc("sub", last, first), 0)


def _clipped(scope: PaddingScope, bound: Length, length: Variable, lowest: int) -> Variable:
    """Return a bound counted from the front, and inside of the axis."""
    if not isinstance(bound, int):
        value = scope.integer(bound)
        if not isinstance(value, Constant):
            from_end = scope.calc("maximum", scope.calc("add", value, length), lowest)
            is_negative = scope.emit("lt", value, 0)
            return scope.emit("switch", is_negative, from_end, scope.calc("minimum", value, length))
        bound = int(value.data)
    if bound >= 0:
        return scope.calc("minimum", length, bound)
    return scope.calc("maximum", scope.calc("sub", length, -bound), lowest)


class _Window(NamedTuple):
    """A window along an axis; ``most`` is the capacity of a length that is a value, ``None`` for others."""

    axis: int
    start: Variable
    length: Variable
    most: Variable | None

    @property
    def size(self) -> Variable:
        """The number of rows that are read."""
        return self.length if self.most is None else self.most

    @property
    def axes(self) -> dict[int, PaddedAxis]:
        """The padded axis."""
        return {} if self.most is None else {self.axis: PaddedAxis(self.length, self.most)}


@rule("window")
def _window(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    """Parts of axes whose starts are run-time values, and whose lengths are lengths, read at once."""
    x = inputs[0]
    windows = _windows(scope, node, x, inputs[1:])
    axes = {axis: padded for one in windows for axis, padded in one.axes.items()}
    others = {axis: one for axis, one in scope.axes(x).items() if axis not in node.op.arguments["axes"]}
    return scope.filled(_read(scope, x, windows), {**others, **axes}, [*axes])


def _windows(scope: PaddingScope, node: Apply, x: Variable, bounds: Sequence[Variable]) -> list[_Window]:
    """Return the windows of a node along each axis; one of constant width that stays inside of its axis has that
    size."""
    along = node.op.arguments["axes"]
    found: list[_Window] = []
    for axis, start, size in zip(along, bounds, lengths_of(node, bounds[len(along) :]), strict=False):
        length = scope.integer(size)
        is_same = scope.axis(x, axis) is None and not scope.varies(length)
        number = None if is_same else constant_bound(length)
        if number is not None and scope.is_nonnegative(Dim.of(length) - number):
            length, is_same = scope.scalar(number), True
        elif number is not None and not scope.is_known(length):
            scope.widths[length] = number
        most = None if is_same else _limited(scope, length, scope.rows(x, axis))
        if most is not None:
            scope.windows.add(length)
        found.append(_Window(axis, start, length, most))
    return found


def _read(scope: PaddingScope, x: Variable, windows: Sequence[_Window]) -> Variable:
    """Return the rows of windows; where a length is a value, as many as its capacity.

    ``dynamic_slice`` moves the start of a window that reaches over the end. So an array outside of loops, or the same
    at every step, has the rows of a capacity appended, once. Of others a window that does not reach over the end is
    read, and the rows before the start are moved to the end.
    """
    if scope.parent is None or scope.lift(x) is not None:
        for one in windows:
            if one.most is not None:
                x = scope.resize(x, one.axis, scope.calc("add", scope.rows(x, one.axis), one.most))
        return _windowed(scope, x, windows)
    inside = [_inside(scope, x, one) for one in windows]
    part = _windowed(scope, x, inside)
    for one, last in zip(windows, inside, strict=True):
        if one.most is not None:
            part = _shifted(scope, part, one.axis, scope.calc("sub", one.start, last.start), one.most)
            scope.rotations[part] = PaddedAxis(one.length, one.most)
    return part


def _inside(scope: PaddingScope, x: Variable, window: _Window) -> _Window:
    """Return a window whose start is moved so that the rows of its capacity do not reach over the end."""
    if window.most is None:
        return window
    last = scope.calc("sub", scope.rows(x, window.axis), window.most)
    return window._replace(start=scope.calc("minimum", scope.integer(window.start), last))


def _shifted(scope: PaddingScope, part: Variable, axis: int, by: Variable, size: Variable) -> Variable:
    """Return the rows from row ``by`` on, and then the first ones: a rotation, as far as ``size`` rows."""
    twice = scope.emit("join", part, part, axis=axis)
    return scope.emit_sized("window", twice, by, lengths=[size], axes=(axis,), inner=False)


@rule("put_window")
def _put_window(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    part, whole = inputs[0], list[Variable]()
    windows = _windows(scope, node, part, inputs[2:])
    for one in windows:
        whole.append(part)
        part = scope.filled(_read(scope, part, [one]), {**scope.other_axes(part, one.axis), **one.axes}, [*one.axes])
    part = scope.fit(inputs[1], scope.axes(part))
    for x, one in zip(reversed(whole), reversed(windows), strict=True):
        inside = _inside(scope, x, one)
        if one.most is not None:
            merged = _merged(scope, x, one, inside, part)
            part = scope.unless_whole(PaddedAxis(one.length, one.most), part, merged)
        op = table_op("put_window", axes=(one.axis,), lengths=(None,), inner=False)
        part = scope.filled(scope.apply(op, x, part, inside.start, inside.size)[0], scope.axes(x))
    return part


def _merged(scope: PaddingScope, x: Variable, window: _Window, inside: _Window, part: Variable) -> Variable:
    """Return the rows of ``inside``, with the valid rows of ``part`` where ``window`` has its own."""
    shift = scope.calc("sub", scope.integer(window.start), inside.start)
    number = scope.emit("sub", scope.iota(window.size), shift)
    new = _shifted(scope, part, window.axis, scope.calc("sub", window.size, shift), window.size)
    return _chosen(scope, number, window.length, window.axis, new, _windowed(scope, x, [inside]))


def _chosen(
    scope: PaddingScope,
    number: Variable,
    length: Length,
    axis: int,
    new: Variable,
    old: Variable,
    also: Variable | None = None,
) -> Variable:
    """Return rows of ``new`` where the ``number`` along an axis is from 0 to a length, and others of ``old``."""
    chosen = scope.emit("and_", scope.emit("ge", number, 0), scope.emit("lt", number, length))
    chosen = chosen if also is None else scope.emit("and_", chosen, also)
    pattern = tuple(0 if place == axis else None for place in range(old.ndim))
    return scope.emit("switch", scope.emit("dimshuffle", chosen, pattern=pattern), new, old)


def _windowed(scope: PaddingScope, x: Variable, windows: Sequence[_Window]) -> Variable:
    along, starts, sizes = zip(*((one.axis, one.start, one.size) for one in windows), strict=True)
    return scope.emit_sized("window", x, *starts, lengths=sizes, axes=along, inner=False)


# Index arrays.


def _from_front(
    scope: PaddingScope, x: Variable, pattern: IndexPattern, arrays: Sequence[Variable]
) -> tuple[IndexPattern, list[Variable]]:
    """Count positions along padded axes from the front, and move those past the length out of bounds."""
    entries, rest = list(pattern.entries), iter(arrays)
    positions: list[Variable] = []
    for axis, place in enumerate(pattern.axis_positions):
        entry, padded = entries[place], scope.axis(x, axis)
        if not isinstance(entry, int | Array):
            continue
        index = next(rest) if isinstance(entry, Array) else scope.scalar(entry)
        if padded is not None:
            entries[place] = Array()
            positions.append(_within(scope, index, padded, axis))
        elif isinstance(entry, Array):
            positions.append(index)
    return IndexPattern(tuple(entries)), positions


def _within(scope: PaddingScope, index: Variable, padded: PaddedAxis, axis: int) -> Variable:
    """Return positions from the front; out of bounds, at the capacity, where there is no such row."""
    if isinstance(index, Constant) and index.data.size:
        least, position = max((p + 1 if p >= 0 else -p, p) for p in index.data.ravel().tolist())
        message = f"{scope.op}: index {position} is out of bounds for axis {axis}: expected {OTHER} rows, got {LENGTH}"
        require_enough(scope, padded.length, least, message)
    wide = index if index.dtype == "int64" else scope.emit("cast", index, dtype="int64")
    is_negative = scope.emit("lt", wide, 0)
    from_front = scope.emit("switch", is_negative, scope.emit("add", wide, padded.length), wide)
    is_valid = scope.emit("and_", scope.emit("lt", from_front, padded.length), scope.emit("ge", from_front, 0))
    return scope.note(scope.emit("switch", is_valid, from_front, padded.capacity), scope.axes(index))
