"""Padding rules of ops that move elements: repeats, rolls, tiles, triangles, diagonals and other shapes.

Each valid element of a result stands at a position that depends on lengths at run time, so that it is gathered from
there; ``tile(x, 2)`` reads row ``i % length``. Where the valid elements come first at the capacity, too, none is moved.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from loopjax.ir.graph import Apply, Constant, Variable
from loopjax.shapes.padding.builder import Length
from loopjax.shapes.padding.rules import exact_call, lengths_of, rule, sized_axes
from loopjax.shapes.padding.scope import PaddedAxis, PaddingScope
from loopjax.shapes.preconditions import LENGTH, OTHER


def _gathered(scope: PaddingScope, x: Variable, axis: int, positions: Variable, padded: PaddedAxis) -> Variable:
    """Return rows along an axis, which is padded then."""
    rows = scope.take(x, axis, positions, scope.rows(x, axis))
    return scope.filled(rows, {**scope.other_axes(x, axis), axis: padded}, [axis])


def _remainder(scope: PaddingScope, positions: Variable, length: Variable) -> Variable:
    return scope.emit("mod", positions, scope.calc("maximum", length, 1))


def _along(scope: PaddingScope, vector: Variable, axis: int, ndim: int) -> Variable:
    """Return a vector as an array that broadcasts along all axes but one."""
    return scope.emit("dimshuffle", vector, pattern=tuple(0 if place == axis else None for place in range(ndim)))


def _capacity_of_product(scope: PaddingScope, length: Variable, rows: Variable, times: Variable) -> Variable | None:
    """Return a capacity for ``times`` as many rows; ``None`` where nothing bounds them."""
    capacity = scope.capacity(length)
    most = scope.capacity(times) if capacity is None else None
    return capacity if most is None else scope.calc("mul", rows, most)


@rule("roll")
def _roll(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    x, axis = inputs[0], node.op.arguments["axis"]
    padded = scope.axis(x, axis)
    if padded is None:
        return scope.call(node.op, *inputs, axes=scope.axes(x))
    before = scope.emit("sub", scope.iota(padded.capacity), scope.integer(inputs[1]))
    return _gathered(scope, x, axis, _remainder(scope, before, padded.length), padded)


@rule("repeat")
def _repeat(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable | Sequence[Variable]:
    x, axis = inputs[0], node.op.arguments["axis"]
    (times,) = map(scope.integer, lengths_of(node, inputs[1:]))
    length = scope.calc("mul", scope.length(x, axis), times)
    if not scope.varies(times):
        padded = scope.axis(x, axis)
        axes = scope.other_axes(x, axis)
        if padded is not None:
            axes[axis] = PaddedAxis(length, scope.calc("mul", padded.capacity, times))
        return scope.note(scope.emit_sized("repeat", x, lengths=[times], axis=axis), axes)
    scope.require_size(times, "repeat: elements cannot be repeated less than 0 times")
    capacity = _capacity_of_product(scope, length, scope.rows(x, axis), times)
    if capacity is None:
        return exact_call(scope, node, inputs)
    positions = scope.emit("floor_div", scope.iota(capacity), scope.calc("maximum", times, 1))
    return _gathered(scope, x, axis, positions, PaddedAxis(length, capacity))


@rule("tile")
def _tile(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable | Sequence[Variable]:
    x, *symbolic = inputs
    times = [scope.integer(count) for count in lengths_of(node, symbolic)]
    x = _with_axes(scope, x, len(times))
    left: list[Length] = []
    for axis, count in enumerate(times):
        if scope.axis(x, axis) is None and not scope.varies(count):
            left.append(count)
            continue
        left.append(1)
        length = scope.calc("mul", scope.length(x, axis), count)
        scope.require_size(count, "tile: an array cannot be repeated less than 0 times")
        capacity = _capacity_of_product(scope, length, scope.rows(x, axis), count)
        if capacity is None:
            return exact_call(scope, node, inputs)
        positions = _remainder(scope, scope.iota(capacity), scope.length(x, axis))
        x = _gathered(scope, x, axis, positions, PaddedAxis(length, capacity))
    return scope.note(scope.emit_sized("tile", x, lengths=left), scope.axes(x))


@rule("specify_shape")
def _specify_shape(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable | Sequence[Variable]:
    """A size that must be that of a padded axis is compared with its length."""
    x = inputs[0]
    left: list[Length] = []
    for axis, size in enumerate(lengths_of(node, inputs[1:])):
        is_open = isinstance(size, int) and size < 0
        if is_open or (scope.axis(x, axis) is None and not scope.varies(scope.integer(size))):
            left.append(size)
            continue
        if not scope.require_equal(
            scope.length(x, axis), scope.integer(size), "an array is not of the shape specified", "LJ503"
        ):
            return exact_call(scope, node, inputs)
        left.append(OPEN)
        if not scope.varies(scope.integer(size)):
            x = scope.note(scope.resize(x, axis, size), scope.other_axes(x, axis))
    return scope.note(scope.emit_sized("specify_shape", x, lengths=left), scope.axes(x))


OPEN = -(2**63)
"""A size that ``specify_shape`` leaves open."""


# Triangles and diagonals.


@rule("tril", "triu")
def _triangle(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    x = inputs[0]
    return scope.filled(scope.apply(node.op, x)[0], scope.axes(x), [x.ndim - 2, x.ndim - 1])


@rule("eye")
def _eye(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable | Sequence[Variable]:
    sizes = [scope.integer(size) for size in lengths_of(node, inputs)]
    axes = sized_axes(scope, "eye", sizes)
    if axes is None:
        return exact_call(scope, node, inputs)
    rows = [axes[axis].capacity if axis in axes else size for axis, size in enumerate(sizes)]
    offset, dtype = node.op.arguments["k"], node.op.arguments["dtype"]
    return scope.filled(scope.emit_sized("eye", lengths=rows, k=offset, dtype=dtype), axes)


@rule("linspace")
def _linspace(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable | Sequence[Variable]:
    """Each end times its weight, as JAX computes it; the last row is the end itself."""
    (start, stop), ends = scope.broadcast(inputs[:2])
    (length,) = map(scope.integer, lengths_of(node, inputs[2:]))
    capacity = scope.capacity(length)
    dtype = node.op.arguments["dtype"]
    if capacity is None or dtype != start.dtype:
        return exact_call(scope, node, inputs)
    scope.require_size(length, "linspace: a size is negative")
    ndim = node.outputs[0].ndim
    last = scope.calc("maximum", scope.calc("sub", length, 1), 1)
    positions = _along(scope, scope.iota(capacity), 0, ndim)
    weight = scope.emit("true_div", *(scope.emit("cast", one, dtype=dtype) for one in (positions, last)))
    one = scope.emit("cast", scope.scalar(1), dtype=dtype)
    between = scope.emit(
        "add", scope.emit("mul", start, scope.emit("sub", one, weight)), scope.emit("mul", stop, weight)
    )
    values = scope.emit("switch", scope.emit("eq", positions, last), stop, between)
    axes = {axis + ndim - max(start.ndim, stop.ndim): padded for axis, padded in ends.items()}
    return scope.filled(values, {**axes, 0: PaddedAxis(length, capacity)}, [0])


@rule("diag")
def _diag(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    x, axis = inputs[0], inputs[0].ndim - 1
    padded, axes = scope.axis(x, axis), scope.other_axes(x, axis)
    if padded is None:
        return scope.call(node.op, x, axes=axes)
    wider = PaddedAxis(*(scope.calc("add", size, abs(node.op.arguments["k"])) for size in padded))
    axes.update({axis: wider, axis + 1: wider})
    return scope.filled(scope.apply(node.op, scope.masked(x, [axis], "zero"))[0], axes, [axis, axis + 1])


@rule("diagonal")
def _diagonal(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    x, along = inputs[0], (node.op.arguments["axis1"], node.op.arguments["axis2"])
    kept = [axis for axis in range(x.ndim) if axis not in along]
    axes = {place: scope.axes(x)[axis] for place, axis in enumerate(kept) if axis in scope.axes(x)}
    if any(scope.axis(x, axis) is not None for axis in along):
        axes[len(kept)] = PaddedAxis(
            *(
                _of_diagonal(scope, [size(x, axis) for axis in along], node.op.arguments["offset"])
                for size in (scope.length, scope.rows)
            )
        )
    return scope.filled(scope.apply(node.op, x)[0], axes, [len(kept)])


def _of_diagonal(scope: PaddingScope, sizes: Sequence[Variable], offset: int) -> Variable:
    """Return the number of elements of a diagonal."""
    if not offset:
        return scope.least(sizes)
    rows, columns = scope.calc("add", sizes[0], min(offset, 0)), scope.calc("sub", sizes[1], max(offset, 0))
    return scope.calc("maximum", scope.calc("minimum", rows, columns), 0)


@rule("kron")
def _kron(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    ndim = max(x.ndim for x in inputs)
    x, y = (_with_axes(scope, one, ndim) for one in inputs)
    product = scope.note(scope.apply(node.op, x, y)[0], {})
    for axis in range(ndim):
        if scope.axis(x, axis) is None and scope.axis(y, axis) is None:
            continue
        length, capacity = (scope.calc("mul", size(x, axis), size(y, axis)) for size in (scope.length, scope.rows))
        padded, inner = PaddedAxis(length, capacity), scope.axis(y, axis)
        if inner is None:
            product = scope.filled(product, {**scope.axes(product), axis: padded}, [axis])
            continue
        positions = scope.iota(capacity)
        block = scope.emit("floor_div", positions, scope.calc("maximum", inner.length, 1))
        shift = scope.emit("mul", block, scope.calc("sub", inner.capacity, inner.length))
        product = _gathered(scope, product, axis, scope.emit("add", positions, shift), padded)
    return product


def _with_axes(scope: PaddingScope, x: Variable, ndim: int) -> Variable:
    """Return an array with axes of size 1 in front."""
    new = ndim - x.ndim
    axes = {axis + new: padded for axis, padded in scope.axes(x).items()}
    return scope.note(scope.emit("dimshuffle", x, pattern=(*[None] * new, *range(x.ndim))), axes)


# Other shapes.


@rule("reshape")
def _reshape(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable | Sequence[Variable]:
    """An axis of the same length before and after keeps its capacity; else elements move to their new positions."""
    x, *symbolic = inputs
    lengths = [scope.length(x, axis) for axis in range(x.ndim)]
    target = _target(scope, lengths, lengths_of(node, symbolic))
    if target is None:
        return exact_call(scope, node, inputs)
    total, wanted = scope.product(lengths), scope.product(target)
    message = f"reshape of an array of {LENGTH} elements to {OTHER}"
    is_same = _same_product(lengths, target) or scope.equal(total, wanted)
    if not is_same and not scope.require("==", total, wanted, message, "LJ503"):
        return exact_call(scope, node, inputs)
    kept = _kept_axes(scope, x, lengths, target)
    if kept is not None:
        capacities = [kept[place].capacity if place in kept else size for place, size in enumerate(target)]
        return scope.note(scope.emit_sized("reshape", x, lengths=capacities), kept)
    axes = _new_axes(scope, x, target)
    if axes is None:
        return exact_call(scope, node, inputs)
    rows = [scope.rows(x, axis) for axis in range(x.ndim)]
    flat = scope.emit("reshape", x, lengths=(-1,))
    if set(axes) == {0} and scope.axes(x).keys() <= {0}:  # the valid elements come first
        capacity = axes[0].capacity
        flat = scope.resize(flat, 0, scope.product([capacity, *target[1:]]))
        return scope.filled(scope.emit_sized("reshape", flat, lengths=[capacity, *target[1:]]), axes)
    numbers = element_numbers(scope, target, [axes[i].capacity if i in axes else size for i, size in enumerate(target)])
    source, stride = scope.scalar(0), scope.scalar(1)
    for length, capacity in zip(reversed(lengths), reversed(rows), strict=True):
        source = scope.emit("add", source, scope.emit("mul", _remainder(scope, numbers, length), stride))
        numbers = scope.emit("floor_div", numbers, scope.calc("maximum", length, 1))
        stride = scope.calc("mul", stride, capacity)
    return scope.filled(scope.take(flat, 0, source, stride), axes)


def element_numbers(scope: PaddingScope, lengths: Sequence[Length], capacities: Sequence[Length]) -> Variable:
    """Return the numbers, in C order, that elements have in an array of these lengths, at its capacities."""
    numbers, stride = scope.scalar(0), scope.scalar(1)
    for axis in reversed(range(len(lengths))):
        positions = _along(scope, scope.iota(capacities[axis]), axis, len(lengths))
        numbers = scope.emit("add", scope.emit("mul", positions, stride), numbers)
        stride = scope.calc("mul", stride, lengths[axis])
    return numbers


def _target(scope: PaddingScope, lengths: Sequence[Variable], sizes: Sequence[Length]) -> list[Variable] | None:
    """Return the sizes after a reshape, -1 replaced by what is left; ``None`` for an array without elements."""
    found = [scope.integer(size) for size in sizes]
    if any(isinstance(size, int) and size == 0 for size in sizes):
        return None
    for place, size in enumerate(sizes):
        if isinstance(size, int) and size == -1:
            rest, others = _without_common(lengths, [*found[:place], *found[place + 1 :]])
            left = scope.product(rest)
            divisor = scope.calc("maximum", scope.product(others), 1)
            found[place] = scope.calc("floor_div", left, divisor) if others else left
    return found


def _without_common(sizes: Sequence[Variable], others: Sequence[Variable]) -> tuple[list[Length], list[Length]]:
    """Return the factors of two products without those that they have in common; numbers are one factor."""
    rest, left = _factors(sizes), _factors(others)
    for one in [*rest]:
        if any(one is other for other in left):
            rest, left = _without(rest, one), _without(left, one)
    numbers = [math.prod(int(one.data) for one in some if isinstance(one, Constant)) for some in (rest, left)]
    common = math.gcd(*numbers) or 1
    found: list[list[Length]] = []
    for some, number in zip((rest, left), numbers, strict=True):
        kept: list[Length] = [one for one in some if not isinstance(one, Constant)]
        found.append([*kept, *([] if number == common else [number // common])])
    return found[0], found[1]


def _factors(sizes: Sequence[Variable]) -> list[Variable]:
    """Return the factors of a product of sizes, products among them split."""
    found: list[Variable] = []
    for size in sizes:
        is_product = size.owner is not None and size.owner.op.named("mul")
        found += _factors(size.owner.inputs) if size.owner is not None and is_product else [size]
    return found


def _without(sizes: Sequence[Variable], size: Variable) -> list[Variable]:
    """Return sizes without the first that is this one."""
    place = next(position for position, one in enumerate(sizes) if one is size)
    return [*sizes[:place], *sizes[place + 1 :]]


def _same_product(sizes: Sequence[Variable], others: Sequence[Variable]) -> bool:
    """Test if two products of sizes are seen to be equal."""
    return _without_common(sizes, others) == ([], [])


def _kept_axes(
    scope: PaddingScope, x: Variable, lengths: Sequence[Variable], target: Sequence[Variable]
) -> dict[int, PaddedAxis] | None:
    """Return the padded axes after a reshape that leaves each as it is; ``None`` where it does not."""
    found: dict[int, PaddedAxis] = {}
    start = place = 0
    for axis, padded in sorted(scope.axes(x).items()):
        before, after = list(lengths[start:axis]), list[Variable]()
        while place < len(target) and not (target[place] is lengths[axis] and _same_product(before, after)):
            after.append(target[place])
            place += 1
        if place == len(target):
            return None
        found[place] = padded
        start, place = axis + 1, place + 1
    rest = any(scope.varies(size) for i, size in enumerate(target) if i not in found)
    return None if rest else found


def _new_axes(scope: PaddingScope, x: Variable, target: Sequence[Variable]) -> dict[int, PaddedAxis] | None:
    """Return the padded axes after a reshape that moves elements; ``None`` where a size has no capacity."""
    varying = [place for place, size in enumerate(target) if scope.varies(size)]
    if len(varying) == 1:
        (place,) = varying
        others = scope.product([size for i, size in enumerate(target) if i != place])
        rows = scope.product([scope.rows(x, axis) for axis in range(x.ndim)])
        return {place: PaddedAxis(target[place], scope.calc("floor_div", rows, scope.calc("maximum", others, 1)))}
    axes: dict[int, PaddedAxis] = {}
    for place in varying:
        capacity = scope.capacity(target[place])
        if capacity is None:
            return None
        axes[place] = PaddedAxis(target[place], capacity)
    return axes
