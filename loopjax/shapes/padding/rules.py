"""Padding rules: for each op of the table, how it computes with padded axes.

The invariant between ops: rows past the length of a padded axis hold copies of row 0, so that nothing computed on them
is less valid than what is computed on row 0 (no ``1 / 0`` that row 0 does not have), and no gradient flows from them.
An elementwise op keeps the invariant by itself. An op that mixes rows first masks those past the length with the
identity of its monoid: ``sum(x)`` becomes ``sum(mask_rows(x, length, zero))``; one that gives other rows past the
length fills them again. An op without a rule needs its axes exact: the op's program is compiled for each length.

Rules of a kind have a file of their own: ``index.py``, ``rearrangement.py``, ``sorting.py``, ``matrices.py`` and
``draws.py``.

Known limits: ``eigh``, ``qr``, ``pinv``, ``lstsq``, singular vectors, permutations and choices have no rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from loopjax.ir.dim import Dim
from loopjax.ir.graph import Apply, Constant, Variable
from loopjax.ir.monoid import MONOIDS, sum_dtype
from loopjax.ir.op import TableOp
from loopjax.ir.scan import Scan, batch_mismatch
from loopjax.ir.traits import Trait
from loopjax.shapes.padding.builder import Length
from loopjax.shapes.padding.scope import PaddedAxis, PaddingScope, unfilled
from loopjax.shapes.preconditions import LENGTH, OTHER

Rule = Callable[[PaddingScope, Apply, list[Variable]], Variable | Sequence[Variable]]
"""From a node and its inputs in the new graph to the variables that stand for its outputs: the only one, or all."""

RULES: dict[str, Rule] = {}
"""The rules by the names of ops."""

TRAIT_RULES: dict[Trait, Rule] = {}
"""The rules of ops that have a trait, and none by name."""


AnyRule = TypeVar("AnyRule", bound=Rule)


def rule(*names: str) -> Callable[[AnyRule], AnyRule]:
    """Register a rule for these ops."""

    def add(function: AnyRule) -> AnyRule:
        for name in names:
            if name in RULES:
                raise ValueError(f"op {name!r} has a rule of padding already")
            RULES[name] = function
        return function

    return add


def trait_rule(trait: Trait) -> Callable[[AnyRule], AnyRule]:
    """Register a rule for the ops that have this trait."""

    def add(function: AnyRule) -> AnyRule:
        TRAIT_RULES[trait] = function
        return function

    return add


def padded_call(scope: PaddingScope, node: Apply, inputs: Sequence[Variable]) -> Sequence[Variable]:
    """Return what stands for the outputs of an op of the table on these inputs of the new graph."""
    op = node.op
    is_padded = any(scope.axes(variable) for variable in inputs)
    if op.name not in ("nonzero", "trip_count") and not is_padded and not _varying_lengths(scope, node, inputs):
        return scope.apply(op, *inputs)
    by_trait = next((found for trait, found in TRAIT_RULES.items() if op.has(trait)), exact_call)
    made = RULES.get(op.name, by_trait)(scope, node, list(inputs))
    return [made] if isinstance(made, Variable) else made


def lengths_of(node: Apply, symbolic: Iterable[Variable]) -> list[Length]:
    """Return the lengths of an op of the table, its last inputs in their places."""
    rest = iter(symbolic)
    return [next(rest) if length is None else length for length in node.op.arguments["lengths"]]


def _varying_lengths(scope: PaddingScope, node: Apply, inputs: Sequence[Variable]) -> list[Variable]:
    lengths = [inputs[position] for position in node.op.length_inputs(len(inputs))]
    return [length for length in lengths if not isinstance(length, Constant) and scope.varies(length)]


def exact_call(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Sequence[Variable]:
    """Return the outputs of the op at exact lengths."""
    lengths = _varying_lengths(scope, node, inputs)
    for length in lengths:
        scope.need(length)
    operands = [scope.around(one) if one in lengths else scope.exact(one) for one in inputs]
    return scope.apply(node.op, *operands)


@trait_rule("pointwise")
def _pointwise(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    operands, axes = scope.broadcast(inputs)
    return scope.call(node.op, *operands, axes=axes)


# Shapes.


@rule("dim")
def _dim(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    return scope.length(inputs[0], node.op.arguments["axis"])


@rule("shape")
def _shape(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    sizes = [scope.integer(scope.length(inputs[0], axis)) for axis in range(inputs[0].ndim)]
    return scope.emit("join", *(scope.emit("dimshuffle", size, pattern=(None,)) for size in sizes), axis=0)


@rule("example_lengths")
def _example_lengths(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    """The host compares lengths with sizes, so that these are the values of a call."""
    return scope.call(node.op, *inputs, axes=scope.axes(inputs[0]))


@rule("of_batch")
def _of_batch(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    axis, what = node.op.arguments["axis"], node.op.arguments["what"]
    x, lengths = inputs
    if lengths.owner is not None and lengths.owner.op.named("example_lengths"):
        lengths = lengths.owner.inputs[0]  # as many, and the arguments of a call tell how many
    size, wanted = scope.length(x, axis), scope.length(lengths, 0)
    if not scope.equal(size, wanted):
        scope.require("==", size, wanted, batch_mismatch(what, LENGTH, axis, OTHER), "LJ118")
    (x, lengths), _ = scope.aligned([x, lengths], [{axis: 0}, {0: 0}], stretch=False)
    return scope.call(node.op, x, lengths, axes=scope.axes(x))


@rule("trip_count")
def _trip_count(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    """Where only a run tells the number of steps, it checks that too."""
    n_steps, *rows = map(scope.integer, inputs)
    if not scope.is_known(n_steps):
        for (name, span), size in zip(node.op.arguments["needs"], rows, strict=True):
            require_rows(scope, n_steps, f"scan {node.op.arguments['scan']!r}: sequence {name!r}", size, span)
    return scope.apply(node.op, n_steps, *rows)[0]


def require_rows(scope: PaddingScope, n_steps: Variable, sequence: str, rows: Variable, span: int) -> bool:
    """Have it checked that a sequence has enough rows for the steps; true where it is seen to have them."""
    most = steps_of_rows(scope, rows, span)
    if scope.is_nonnegative(Dim.of(most) - Dim.of(n_steps)):
        return True
    scope.require("<=", n_steps, most, f"{sequence} has rows for {OTHER} steps, and {LENGTH} are asked for", "LJ111")
    return False


def require_enough(scope: PaddingScope, length: Variable, least: int, message: str) -> None:
    """Have it checked that a length reaches what is read, unless it is seen to; ``IndexError`` where it does not."""
    if not scope.is_nonnegative(Dim.of(length) - least) and not (least <= 1 and _is_positive(scope, length)):
        scope.require(">=", length, least, message, "LJ206")


def steps_of_rows(scope: PaddingScope, rows: Variable, span: int) -> Variable:
    """Return the steps for which a sequence of this length has rows."""
    return scope.calc("maximum", scope.calc("sub", rows, span), 0) if span else rows


@rule("dimshuffle", "transpose")
def _permute(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    pattern = node.op.arguments["pattern" if node.op.name == "dimshuffle" else "axes"]
    x = scope.exact(inputs[0], [axis for axis in range(inputs[0].ndim) if axis not in pattern])
    axes = scope.axes(x)
    return scope.call(node.op, x, axes={place: axes[axis] for place, axis in enumerate(pattern) if axis in axes})


@rule("join")
def _join(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    """The operands are joined at their capacities, and their valid rows gathered."""
    axis = node.op.arguments["axis"]
    others = [{place: place for place in range(x.ndim) if place != axis} for x in inputs]
    operands, axes = scope.aligned(inputs, others, stretch=False)
    joined = scope.apply(node.op, *operands)[0]
    if not any(scope.axis(x, axis) for x in operands):
        return scope.note(joined, axes)
    capacity, length = scope.scalar(0), scope.scalar(0)
    starts: list[tuple[Variable, Variable, Variable]] = []
    for x in operands:
        starts.append((capacity, length, scope.integer(scope.length(x, axis))))
        capacity = scope.calc("add", capacity, scope.rows(x, axis))
        length = scope.calc("add", length, scope.length(x, axis))
    positions = source = scope.iota(capacity)
    for start, before, rows in starts:
        inside = scope.emit("ge", positions, before)
        shifted = scope.emit("add", positions, scope.calc("sub", start, before))
        source = scope.emit("switch", inside, scope.emit("minimum", shifted, scope.calc("add", start, rows)), source)
    taken = scope.take(joined, axis, source, capacity)
    return scope.filled(taken, {**axes, axis: PaddedAxis(length, capacity)}, [axis])


@rule("nonzero")
def _nonzero(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    """The capacity is the number of all elements.

    A region's mask is read around it, where that is possible: no gradient flows through positions, and their number is
    a length for which a stage can end.
    """
    outside = None if scope.parent is None else scope.lift(inputs[0], by=TableOp)
    if scope.parent is not None and outside is not None:
        return scope.enter(_nonzero(scope.parent, node, [outside]))
    mask = scope.masked(inputs[0], [0], "zero")
    length = _sum(scope, inputs[0], (0,), "int64")
    places = scope.emit("true_places", mask)
    axes = {0: PaddedAxis(length, scope.rows(mask, 0))}
    if scope.parent is None and not scope.context.device:
        return scope.cut(scope.note(places, axes))
    return scope.filled(places, axes)


# Array creation.


def sized_axes(scope: PaddingScope, name: str, sizes: Sequence[Variable]) -> dict[int, PaddedAxis] | None:
    """Return the padded axes of an array of these sizes, each checked not to be negative; ``None`` where a size has no
    capacity."""
    axes: dict[int, PaddedAxis] = {}
    for axis, size in enumerate(sizes):
        if not scope.varies(size):
            continue
        scope.require_size(size, f"{name}: a size is negative")
        capacity = scope.capacity(size)
        if capacity is None:
            return None
        axes[axis] = PaddedAxis(size, capacity)
    return axes


@rule("alloc", "broadcast_to")
def _alloc(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    value, sizes = inputs[0], lengths_of(node, inputs[1:])
    axes: dict[int, PaddedAxis] = {}
    for place, size in enumerate(sizes):
        length, axis = scope.integer(size), place - (len(sizes) - value.ndim)
        padded = scope.axis(value, axis)
        if axis < 0 or scope.stretches(value, axis):
            if not scope.varies(length):
                continue
            scope.require_size(length, f"{node.op.name}: a size is negative")
            capacity = scope.capacity(length)
            if capacity is not None:
                axes[place] = PaddedAxis(length, capacity)
        elif padded is not None:
            if scope.require_equal(padded.length, length):
                axes[place] = padded
            else:
                value = scope.exact(value, [axis])
    rows = [axes[place].capacity if place in axes else size for place, size in enumerate(sizes)]
    return scope.note_apart(scope.emit_sized(node.op.name, value, lengths=rows), axes)


@rule("arange")
def _arange(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable | Sequence[Variable]:
    start, stop, step = map(scope.integer, lengths_of(node, inputs))
    if not isinstance(step, Constant):
        return exact_call(scope, node, inputs)
    length = scope.ceil_div(scope.calc("sub", stop, start), int(step.data))
    if scope.length_capacity(length) is None:
        length = scope.calc("maximum", length, 0)
    capacity = scope.capacity(length)
    if capacity is None:
        return exact_call(scope, node, inputs)
    values = scope.iota(capacity)
    if int(step.data) != 1:
        values = scope.emit("mul", values, step)
    if not isinstance(start, Constant) or start.data:
        values = scope.emit("add", values, start)
    if values.dtype != node.op.arguments["dtype"]:
        values = scope.emit("cast", values, dtype=node.op.arguments["dtype"])
    return scope.filled(values, {0: PaddedAxis(length, capacity)})


# Reductions.


def _reduced_axes(node: Apply, x: Variable) -> tuple[int, ...]:
    axis = node.op.arguments["axis"]
    return tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)


def _remaining(scope: PaddingScope, node: Apply, x: Variable) -> dict[int, PaddedAxis]:
    """Return the padded axes of the result of a reduction of ``x``."""
    gone, keepdims = _reduced_axes(node, x), node.op.arguments["keepdims"]
    kept = [axis for axis in range(x.ndim) if keepdims or axis not in gone]
    return {place: scope.axes(x)[axis] for place, axis in enumerate(kept) if axis in scope.axes(x) and axis not in gone}


def _sum(scope: PaddingScope, x: Variable, over: Sequence[int], dtype: str, keepdims: bool = False) -> Variable:
    masked = scope.masked(x, over, MONOIDS["sum"].identity)
    return scope.emit("sum", masked, axis=tuple(over), keepdims=keepdims, dtype=dtype)


@rule(*(name for name in MONOIDS if name not in ("argmax", "argmin")))
def _reduce(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    x, monoid = inputs[0], MONOIDS[node.op.name]
    if monoid.name == "logsumexp" and not x.type.is_float:
        x = scope.note(scope.emit("cast", x, dtype=node.op.arguments["dtype"]), scope.axes(x))
    if monoid.name in ("any", "all") and x.dtype != "bool":
        zero = scope.emit("cast", scope.scalar(0), dtype=x.dtype)
        x = scope.note(scope.emit("neq", x, zero), scope.axes(x))
    if monoid.needs_elements:
        require_elements(scope, node.op.name, x, _reduced_axes(node, x))
    masked = scope.masked(x, _reduced_axes(node, x), monoid.identity)
    return scope.call(node.op, masked, axes=_remaining(scope, node, x))


def require_elements(scope: PaddingScope, name: str, x: Variable, axes: tuple[int, ...]) -> None:
    """Have it checked that there are elements to reduce."""
    message = f"{name}: an array has no elements along axes {axes}, and so no result"
    for axis in axes:
        padded = scope.axis(x, axis)
        if padded is not None and not _is_positive(scope, padded.length):
            scope.require(">=", padded.length, 1, message, "LJ505")


def _is_positive(scope: PaddingScope, length: Variable) -> bool:
    """Test if a length is 1 at least, as the steps of a loop which stops by ``until`` are."""
    op = None if length.owner is None else length.owner.op
    stops = isinstance(op, Scan) and op.until and not op.dynamic and bool(op.n_steps)
    return stops or scope.is_nonnegative(Dim.of(length) - 1)


@rule("mean")
def _mean(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    x, dtype, over = inputs[0], node.op.arguments["dtype"], _reduced_axes(node, inputs[0])
    axes = _remaining(scope, node, x)
    if not any(axis in scope.axes(x) for axis in over):
        return scope.call(node.op, x, axes=axes)
    wide = sum_dtype(dtype)
    total = _sum(scope, x, over, wide, node.op.arguments["keepdims"])
    count = scope.product([scope.length(x, axis) for axis in over])
    mean = scope.emit("true_div", total, scope.emit("cast", count, dtype=wide))
    return scope.note(mean if wide == dtype else scope.emit("cast", mean, dtype=dtype), axes)


@rule("var")
def _var(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable | Sequence[Variable]:
    x, dtype, over = inputs[0], node.op.arguments["dtype"], _reduced_axes(node, inputs[0])
    axes = scope.axes(x)
    if x.dtype in ("float16", "bfloat16", "complex64", "complex128") or not any(axis in axes for axis in over):
        return exact_call(scope, node, inputs)
    count = scope.product([scope.length(x, axis) for axis in over])
    values = scope.note(scope.emit("cast", x, dtype=dtype), axes)
    mean = scope.emit("true_div", _sum(scope, values, over, dtype, True), scope.emit("cast", count, dtype=dtype))
    deviation = scope.emit("sub", values, mean)
    squares = scope.note(scope.emit("mul", deviation, deviation), axes)
    total = _sum(scope, squares, over, dtype, node.op.arguments["keepdims"])
    divisor = scope.calc("maximum", scope.calc("sub", count, node.op.arguments["ddof"]), 0)
    variance = scope.emit("true_div", total, scope.emit("cast", divisor, dtype=dtype))
    return scope.note(variance, _remaining(scope, node, x))


@rule("argmax", "argmin")
def _argmax(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    """The first of equal elements is the result, so that copies of row 0 past the length never are."""
    x = inputs[0]
    if node.op.arguments["axis"] is None and x.ndim > 1:
        x = scope.exact(x, [axis for axis in scope.axes(x) if axis > 0])
    axes = _reduced_axes(node, x)
    require_elements(scope, node.op.name, x, axes)
    if scope.context.filling == "poison":
        x = scope.filled(x, scope.axes(x), axes, "row 0")
    return scope.call(node.op, x, axes=_remaining(scope, node, x))


@rule("cumsum", "cumprod")
def _cumulative(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    return scope.filled(scope.apply(node.op, inputs[0])[0], scope.axes(inputs[0]), [node.op.arguments["axis"]])


@rule("softmax", "log_softmax")
def _softmax(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    axis = node.op.arguments["axis"]
    over = range(inputs[0].ndim) if axis is None else axis
    masked = scope.masked(inputs[0], over, MONOIDS["logsumexp"].identity, least=1)
    return scope.filled(scope.apply(node.op, masked)[0], scope.axes(inputs[0]), over)


# Products.


def _contracted(
    scope: PaddingScope, operands: Sequence[Variable], pairs: Sequence[tuple[int, int]]
) -> tuple[Variable, Variable]:
    """Return two operands with equal capacity along the axes that are summed over, and zeros past the lengths."""
    x, y = operands
    for left, right in pairs:
        (x, y), _ = scope.aligned([x, y], [{left: 0}, {right: 0}], stretch=False)
    return scope.masked(x, [left for left, _ in pairs], "zero"), scope.masked(y, [right for _, right in pairs], "zero")


def _product(
    scope: PaddingScope, node: Apply, x: Variable, y: Variable, kept: Iterable[tuple[Variable, int]]
) -> Variable:
    """Apply a product, whose result has these axes of its operands."""
    axes = {place: scope.axis(variable, axis) for place, (variable, axis) in enumerate(kept)}
    return scope.call(node.op, x, y, axes={place: padded for place, padded in axes.items() if padded is not None})


@rule("dot", "tensordot")
def _dot(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    if node.op.name == "dot":
        left, right = (inputs[0].ndim - 1,), (max(inputs[1].ndim - 2, 0),)
    else:
        left, right = node.op.arguments["left"], node.op.arguments["right"]
    x, y = _contracted(scope, inputs, list(zip(left, right, strict=True)))
    kept = [(x, axis) for axis in range(x.ndim) if axis not in left]
    kept += [(y, axis) for axis in range(y.ndim) if axis not in right]
    if scope.differentiated or len(kept) >= max(x.ndim, y.ndim):
        return _product(scope, node, x, y, kept)
    # The result is smaller than an operand, and filled in its place. A gradient would be zero times rows not filled.
    made = _product(scope, node, unfilled(x, scope.axes(x)), unfilled(y, scope.axes(y)), kept)
    return scope.filled(made, scope.axes(made))


@rule("outer")
def _outer(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    x, y = inputs
    return _product(scope, node, x, y, [(x, 0), (y, 0)])


@rule("matmul")
def _matmul(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    x, y = _contracted(scope, inputs, [(inputs[0].ndim - 1, max(inputs[1].ndim - 2, 0))])
    batch = max(x.ndim - 2, y.ndim - 2, 0)
    places = [{axis: axis + batch - (one.ndim - 2) for axis in range(one.ndim - 2)} for one in (x, y)]
    (x, y), axes = scope.aligned([x, y], places)
    kept = ([(x, x.ndim - 2)] if x.ndim > 1 else []) + ([(y, y.ndim - 1)] if y.ndim > 1 else [])
    for place, (variable, axis) in enumerate(kept, batch):
        padded = scope.axis(variable, axis)
        if padded is not None:
            axes[place] = padded
    return scope.call(node.op, x, y, axes=axes)


@rule("conv2d")
def _conv2d(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    """Rows and columns of images past their lengths are zeros, as those around them are."""
    images, filters = scope.exact(inputs[0], [1]), scope.exact(inputs[1])
    axes: dict[int, PaddedAxis] = {axis: padded for axis, padded in scope.axes(images).items() if axis < 1}
    options = node.op.arguments
    border = options["border"]
    for axis in sorted(scope.axes(images).keys() & {2, 3}):
        stride, dilation = options["stride"][axis - 2], options["dilation"][axis - 2]
        span = scope.calc("add", scope.calc("mul", scope.calc("sub", scope.rows(filters, axis), 1), dilation), 1)
        if border == "half":
            around = scope.calc("mul", scope.calc("floor_div", span, 2), 2)
        elif border == "full":
            around = scope.calc("mul", scope.calc("sub", span, 1), 2)
        else:
            around = scope.scalar(0 if border == "valid" else sum(border[axis - 2]))
        padded = scope.axes(images)[axis]
        message = f"conv2d: filters of {LENGTH} rows or columns are larger than padded images of {OTHER}"
        if not scope.require("<=", span, scope.calc("add", padded.length, around), message):
            images = scope.exact(images, [axis])
            continue
        free = [scope.calc("sub", scope.calc("add", size, around), span) for size in padded]
        axes[axis] = PaddedAxis(*(scope.calc("add", scope.calc("floor_div", one, stride), 1) for one in free))
    made = scope.apply(node.op, scope.masked(images, [2, 3], "zero"), filters)[0]
    return scope.filled(made, axes, [2, 3])


@rule("resize", "cut", "mask_rows", "fill_rows")
def _unexpected(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    raise AssertionError(f"{node.op.name} is what padding emits; a graph is padded once")
