"""Indexing: reading elements of arrays, arrays with elements replaced, and positions of elements.

An index is parsed once, into the ``IndexPattern`` of an op ``index``, ``set`` or ``inc``. ``x[1, a:, i]`` records
``index`` with the inputs ``x``, ``i`` and ``a``. Boolean masks become integer positions: those of a constant at once,
those of a variable by ``nonzero``. Slices with a symbolic start and step 1 are recorded apart, as a ``window`` whose
start is a run-time value, so that one program serves all positions of a window of one size.

Out of bounds raises for constant positions, and for others where the host knows them; else a read gives NaN (the least
integer) and a write is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, overload

import jax.numpy as jnp
import numpy as np

from loopjax.errors import coded, here, reported
from loopjax.ir.graph import Constant, Variable, apply
from loopjax.ir.index import WHOLE, Array, Entry, IndexPattern, Slice
from loopjax.ir.op import register, table_op
from loopjax.ir.public_ops import public_op
from loopjax.ir.symbolic_sizes import is_symbolic, sliced
from loopjax.ir.types import Shape, TensorType, broadcast_shapes, merge_dims
from loopjax.tensor.axes import normal_axis
from loopjax.tensor.creation import alloc
from loopjax.tensor.dynamic_slice import Bounds, bounds, is_window, put_back, slides, window
from loopjax.tensor.elementwise import clip, mod, neq, second
from loopjax.tensor.lengths import split_sizes
from loopjax.tensor.shape import dim, reshape, stack
from loopjax.trace.convert import as_variable, constant, numeric
from loopjax.trace.promotion import common_dtype

__all__ = [
    "compress",
    "flatnonzero",
    "inc_subtensor",
    "nonzero",
    "nonzero_values",
    "set_subtensor",
    "take",
]


class _Key(NamedTuple):
    """A parsed index: the parameters of the op, and the node's inputs after the indexed array."""

    pattern: IndexPattern
    lengths: tuple[int | None, ...]
    symbolic: list[Variable]
    arrays: list[Variable]


class _Mask(NamedTuple):
    """Positions along one axis at which a constant mask is true, and the mask's size along it."""

    positions: np.ndarray[Any, Any]
    size: int


def _entries(x: Variable, key: Any) -> list[Any]:
    """List the entries of a key, one for each axis of ``x`` and ``None`` for each new one."""
    entries = list(key) if isinstance(key, tuple) else [key]
    entries = [entry.data if isinstance(entry, Constant) else entry for entry in entries]
    used = sum(_axes_of(entry) for entry in entries)
    if used > x.ndim:
        raise coded(IndexError, "LJ205")(f"{used} indices for {x!r} of {x.ndim} dimensions; expected at most that many")
    dots = [position for position, entry in enumerate(entries) if entry is Ellipsis]
    if len(dots) > 1:
        raise coded(IndexError, "LJ205")(f"an index takes one '...', got {len(dots)}; write ':' for an axis")
    rest = [slice(None)] * (x.ndim - used)
    place = dots[0] if dots else len(entries)
    return _without_masks(x, entries[:place] + rest + entries[place + 1 :])


def _axes_of(entry: Any) -> int:
    """Count the axes that an entry indexes: those of a mask, none for a new axis or '...', else one."""
    if entry is None or entry is Ellipsis:
        return 0
    if isinstance(entry, Variable):
        return entry.ndim if entry.dtype == "bool" and entry.ndim else 1
    if isinstance(entry, (np.ndarray, list)) and _is_mask(entry):
        return np.asarray(entry).ndim
    return 1


def _without_masks(x: Variable, entries: list[Any]) -> list[Any]:
    """Replace masks by the positions at which they are true."""
    plain: list[Any] = []
    axis = 0
    for entry in entries:
        if isinstance(entry, Variable) and entry.dtype == "bool" and entry.ndim:
            beside = any(isinstance(other, Variable) and other is not entry for other in entries)
            plain.extend(nonzero(_fitting(x, entry, axis, beside)))
        elif isinstance(entry, (np.ndarray, list)) and _is_mask(entry):
            mask = np.asarray(entry)
            plain.extend(_Mask(positions, size) for positions, size in zip(np.nonzero(mask), mask.shape, strict=True))
        else:
            plain.append(entry)
        axis = sum(other is not None for other in plain)
    return plain


def _fitting(x: Variable, mask: Variable, axis: int, beside: bool) -> Variable:
    """Check a mask against the sizes of the axes that it indexes.

    Where other index arrays stand beside it, only sizes that are known while recording: an array that was picked by the
    same mask must be seen to have as many elements, so the mask itself says how many there are.
    """
    if axis + mask.ndim > x.ndim:
        raise coded(IndexError, "LJ205")(f"a mask of {mask.ndim} dimensions from axis {axis} on of {x!r}")
    if beside:
        for size, wanted in zip(mask.type.shape, x.type.shape[axis : axis + mask.ndim], strict=True):
            merge_dims(size, wanted)
        return mask
    sizes = [dim(x, axis + offset) for offset in range(mask.ndim)]
    return second(alloc(constant(False), *sizes), mask)


def _is_mask(entry: Any) -> bool:
    if isinstance(entry, list) and any(isinstance(item, Variable) for item in entry):
        return False
    array = numeric(entry)
    return array.dtype == bool and array.ndim > 0


def _parsed(entries: list[Any]) -> _Key:
    """Parse a key into its pattern, slice bounds and index arrays."""
    key: list[Entry | slice] = []
    arrays: list[Variable] = []
    for entry in entries:
        if entry is None or isinstance(entry, slice):
            key.append(entry)
        elif isinstance(entry, (int, np.integer)) and not isinstance(entry, bool):
            key.append(int(entry))
        elif isinstance(entry, _Mask):
            key.append(Array(*_extent(entry.positions), entry.size))
            arrays.append(as_variable(entry.positions.astype(np.int64)))
        else:
            index = _index_array(entry)
            if isinstance(index, Constant) and index.ndim == 0:
                key.append(int(index.data))
            else:
                key.append(Array(*_extent(index.data)) if isinstance(index, Constant) else Array())
                arrays.append(index)
    pattern, bounds = IndexPattern.parse(key)
    return _Key(pattern, *split_sizes(bounds, "a slice"), arrays)


def _index_array(entry: Any) -> Variable:
    """Return an integer array or scalar of at least 32 bits: an int8 cannot count backwards along an axis of 200."""
    index = as_variable(np.zeros(0, np.int64) if isinstance(entry, list) and not entry else entry)
    if not index.type.is_integer:
        raise coded(IndexError, "LJ205")(
            f"an index is an integer, a slice, None or '...', got {index!r}; cast it with .astype('int64')"
        )
    return index if index.dtype in ("int32", "int64") else index.astype("int64")


def _extent(positions: np.ndarray[Any, Any]) -> tuple[int, int]:
    """Least and greatest of constant indices; (0, -1) where there are none."""
    return (int(positions.min()), int(positions.max())) if positions.size else (0, -1)


def _index_type(x: TensorType, *arrays: TensorType, pattern: IndexPattern, lengths: Shape) -> TensorType:
    sizes = [_taken(entry, lengths, x.shape[axis], axis) for axis, entry in enumerate(pattern.axis_entries)]
    shape = [1 if axis is None else sizes[axis] for axis in pattern.kept_axes]
    if any(array.ndim for array in arrays):
        shape[pattern.array_position : pattern.array_position] = broadcast_shapes(*(array.shape for array in arrays))
    return TensorType(x.dtype, tuple(shape))


def _taken(entry: Entry, lengths: Shape, size: int | None, axis: int) -> int | None:
    """Number of elements that an entry takes along its axis.

    Raises ``IndexError`` for a constant position that is known to be out of bounds.
    """
    if isinstance(entry, Slice):
        return _slice_size(entry, lengths, size)
    if isinstance(entry, int):
        _check_bounds(entry, size, axis)
    elif isinstance(entry, Array) and entry.least is not None and entry.greatest is not None:
        if entry.least <= entry.greatest:
            _check_bounds(entry.least, size, axis)
            _check_bounds(entry.greatest, size, axis)
        if entry.mask_size is not None and size not in (None, entry.mask_size):
            raise coded(IndexError, "LJ205")(
                f"a mask of size {entry.mask_size} does not fit axis {axis} of size {size}"
            )
    return 1


def _slice_size(entry: Slice, lengths: Shape, size: int | None) -> int | None:
    if entry == WHOLE:
        return size
    bounds = entry.resolve(lengths)
    if bounds.step == 0:
        raise coded(ValueError, "LJ205")("a slice has step 0; expected another step, write a step of 1")
    if size is None or any(at is not None and lengths[at] is None for at in (entry.start, entry.stop, entry.step)):
        return None
    if is_symbolic(size) or any(map(is_symbolic, filter(None, (bounds.start, bounds.stop)))):
        return sliced(size, bounds)
    return len(range(*bounds.indices(size)))


def _check_bounds(index: int, size: int | None, axis: int) -> None:
    if size is not None and not -size <= index < size:
        raise coded(IndexError, "LJ206")(
            f"index {index} is out of bounds for axis {axis} of size {size}; expected {-size} to {size - 1}"
        )


def _write_type(
    x: TensorType, value: TensorType, *arrays: TensorType, pattern: IndexPattern, lengths: Shape
) -> TensorType:
    target = _index_type(x, *arrays, pattern=pattern, lengths=lengths)
    dims = zip(reversed(target.shape), reversed(value.shape), strict=False)
    if value.ndim > target.ndim or any(None not in (to, size) and size not in (1, to) for to, size in dims):
        raise coded(ValueError, "LJ501")(
            f"a value of shape {value.shape} does not fit into a part of shape {target.shape}; expected one that "
            f"broadcasts, reshape it"
        )
    return TensorType(x.dtype, x.shape)


def _arrays_together(x: TensorType, *arrays: TensorType, pattern: IndexPattern, lengths: Shape) -> list[list[Shape]]:
    return [[array.shape for array in arrays]]


def _value_and_part(
    x: TensorType, value: TensorType, *arrays: TensorType, pattern: IndexPattern, lengths: Shape
) -> list[list[Shape]]:
    part = _index_type(x, *arrays, pattern=pattern, lengths=lengths)
    return [[value.shape, part.shape], [array.shape for array in arrays]]


register("index", None, _index_type, "gather", broadcasts=_arrays_together)
register("set", None, _write_type, "scatter", broadcasts=_value_and_part)
register("inc", None, _write_type, "scatter", broadcasts=_value_and_part)


@public_op
def index(x: Any, key: Any) -> Variable:
    """Record ``x[key]``: ints, slices, ``None``, ``...``, masks, integer arrays and symbolic integers, as in NumPy.

    Out of bounds: ``IndexError`` for a constant position, after the run if only that tells the size, and for others
    where that is known before running; else, and inside of JAX (``to_jax``), the value read is NaN, for integers the
    least of the dtype. Differentiable in ``x``.
    """
    variable = as_variable(x)
    owner = variable.owner
    if owner is not None and owner.op.named("shape") and isinstance(key, int):
        return dim(owner.inputs[0], _axis(key, owner.inputs[0]))
    entries = _entries(variable, key)
    if any(slides(entry) for entry in entries):
        rest = [slice(None) if slides(entry) else entry for entry in entries]
        inner = any(not isinstance(entry, slice) or entry != slice(None) for entry in rest)
        variable, entries = window(variable, _slides_of(variable, entries), inner), rest
        if not inner:
            return variable
    parsed = _parsed(entries)
    op = table_op("index", pattern=parsed.pattern, lengths=parsed.lengths)
    return apply(op, variable, *parsed.arrays, *parsed.symbolic)[0]


def _slides_of(x: Variable, entries: list[Any]) -> list[Bounds]:
    """Bounds of the slices with symbolic starts."""
    axes = [sum(entry is not None for entry in entries[:position]) for position in range(len(entries))]
    return [bounds(x, axis, entry) for axis, entry in zip(axes, entries, strict=True) if slides(entry)]


def _axis(key: int, x: Variable) -> int:
    if not -x.ndim <= key < x.ndim:
        raise coded(IndexError, "LJ205")(f"shape[{key}] of {x!r} of {x.ndim} dimensions; expected at most that many")
    return key


@public_op
def rows(x: Variable) -> Iterator[Variable]:
    """Iterate over ``x[0]``, ``x[1]``, ... where the length is known; raise ``TypeError`` where it is not."""
    if x.ndim == 0:
        raise coded(TypeError, "LJ202")(
            f"{x!r} is a scalar and cannot be iterated over; expected a vector, write [x] for a list"
        )
    count = x.type.shape[0]
    if count is None:
        raise coded(TypeError, "LJ202")(f"{x!r} has an unknown length; expected a known one, loop over it with scan")
    return iter([index(x, position) for position in range(count)])


@public_op
def set_subtensor(part: Any, value: Any) -> Variable:
    """Replace elements of an array, as ``x[key] = value`` does in NumPy.

    Writes out of bounds are dropped where only the run can tell. Differentiable in ``x`` and ``value``.

    Parameters
    ----------
    part : Variable
        An indexed array, ``x[key]``.
    value : array_like
        The new elements; broadcasts to the shape of ``part``.

    Returns
    -------
    Variable
        A copy of ``x`` with ``part`` replaced.

    Raises
    ------
    TypeError
        Where ``part`` is no indexed array, or ``value`` would lose precision in the dtype of ``x``.
    ValueError
        Where ``value`` does not broadcast to ``part``.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> x = at.zeros(3)
    >>> print(at.set_subtensor(x[1:], 5).eval())
    [0. 5. 5.]
    """
    return _write("set", part, value)


@public_op
def inc_subtensor(part: Any, value: Any) -> Variable:
    """Add to elements of an array, as ``numpy.add.at`` does: repeated indices add up.

    Writes out of bounds are dropped where only the run can tell. Differentiable in ``x`` and ``value``.

    Parameters
    ----------
    part : Variable
        An indexed array, ``x[key]``.
    value : array_like
        What is added; broadcasts to the shape of ``part``.

    Returns
    -------
    Variable
        A copy of ``x`` with ``value`` added to ``part``.

    Raises
    ------
    TypeError
        Where ``part`` is no indexed array, or ``value`` would lose precision in the dtype of ``x``.
    ValueError
        Where ``value`` does not broadcast to ``part``.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> x = at.zeros(3)
    >>> print(at.inc_subtensor(x[[0, 0, 2]], 1).eval())
    [2. 0. 1.]
    """
    return _write("inc", part, value)


def _write(row: str, part: Any, value: Any) -> Variable:
    node = part.owner if isinstance(part, Variable) else None
    if isinstance(part, Variable) and is_window(part, inner=False):
        return put_back(part, _write(row, index(part, ...), value))
    if node is None or not node.op.named("index"):
        raise coded(TypeError, "LJ204")(
            f"{row}_subtensor: part takes an indexed variable such as x[i], got {part!r:.80}; write "
            f"{row}_subtensor(x[i], value)"
        )
    x, *rest = node.inputs
    new = as_variable(value)
    if common_dtype([x.type, new.type]) != x.dtype:
        raise coded(TypeError, "LJ510")(
            f"{row}_subtensor: value is {new.type} and goes into {x.type}, which loses precision; expected {x.dtype}, "
            f"cast it with .astype({x.dtype!r})"
        )
    written = apply(table_op(row, **node.op.arguments), x, new.astype(x.dtype), *rest)[0]
    return put_back(x, written) if is_window(x, inner=True) else written


@public_op
def take(x: Any, indices: Any, axis: int | None = None, mode: Literal["raise", "clip", "wrap"] = "raise") -> Variable:
    """Take elements at positions along an axis.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Any array.
    indices : array_like of int
        The positions.
    axis : int, optional
        The axis; by default the array is flattened.
    mode : {'raise', 'clip', 'wrap'}, optional
        The treatment of positions out of bounds: as in ``x[indices]``; the nearest element; counting on from the other
        end.

    Returns
    -------
    Variable
        The elements, with the axes of ``indices`` in the place of ``axis``.

    Raises
    ------
    ValueError
        Where ``mode`` is another, or ``x`` has no such axis.
    IndexError
        Where a position is known to be out of bounds, with ``mode="raise"``.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.take([1, 2, 3], [0, 4], mode="wrap").eval())
    [1 2]
    """
    if indices is None or indices is Ellipsis or isinstance(indices, (slice, tuple)):
        raise TypeError(f"take: indices takes an array of integers, got {indices!r:.80}; write [0, 1]{here()}")
    variable = as_variable(x)
    if axis is None:
        variable, axis = reshape(variable, (-1,)), 0
    axis = normal_axis(axis, variable.ndim)
    if mode == "clip":
        indices = clip(indices, 0, dim(variable, axis) - 1)
    if mode == "wrap":
        indices = mod(indices, dim(variable, axis))
    return index(variable, (slice(None),) * axis + (indices,))


@reported
def compress(condition: Any, x: Any, axis: int | None = None) -> Variable:
    """Take the elements along an axis at which a condition holds.

    With a symbolic condition the length is known only after it has been computed. Differentiable in ``x``.

    Parameters
    ----------
    condition : array_like of bool
        A vector.
    x : array_like
        Any array.
    axis : int, optional
        The axis; by default the array is flattened.

    Returns
    -------
    Variable
        The elements where ``condition`` is true.

    Raises
    ------
    ValueError
        Where ``condition`` is no vector.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.compress([True, False, True], [1, 2, 3]).eval())
    [1 3]
    """
    mask = as_variable(condition)
    if mask.ndim != 1:
        raise coded(ValueError, "LJ507")(f"compress takes a vector as its condition, got {mask!r}; reshape it")
    if isinstance(mask, Constant):
        return take(x, np.flatnonzero(mask.data), axis)
    return take(x, nonzero(mask)[0], axis)


def _nonzero_type(mask: TensorType) -> TensorType:
    return TensorType("int64", (None,))


register("nonzero", None, _nonzero_type)
register(
    "true_places",
    lambda mask: jnp.nonzero(mask, size=mask.shape[0], fill_value=0)[0].astype(int),
    lambda mask: TensorType("int64", mask.shape),
)


@overload
def nonzero(x: Any, return_matrix: Literal[False] = False) -> tuple[Variable, ...]: ...


@overload
def nonzero(x: Any, return_matrix: Literal[True]) -> Variable: ...


@overload
def nonzero(x: Any, return_matrix: bool) -> tuple[Variable, ...] | Variable: ...


@public_op
def nonzero(x: Any, return_matrix: bool = False) -> tuple[Variable, ...] | Variable:
    """Find the positions of elements that are not zero, in C order.

    Their number is known only after ``x`` has been computed: what follows is padded to the size of ``x``, or computed
    in a later stage. No gradient flows through positions.

    Parameters
    ----------
    x : array_like
        An array of at least one dimension.
    return_matrix : bool, optional
        True for one int64 matrix ``(x.ndim, count)``.

    Returns
    -------
    tuple of Variable, or Variable
        An int64 vector of positions for each axis.

    Raises
    ------
    ValueError
        Where ``x`` is a scalar.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> rows, columns = at.nonzero([[0, 5], [7, 0]])
    >>> print(rows.eval(), columns.eval())
    [0 1] [1 0]
    """
    variable = as_variable(x)
    if variable.ndim == 0:
        raise ValueError(f"nonzero takes an array, got the scalar {variable!r}{here()}")
    mask = variable if variable.dtype == "bool" else neq(variable, 0)
    flat = apply(table_op("nonzero"), mask if mask.ndim == 1 else reshape(mask, (-1,)))[0]
    positions = (flat,) if mask.ndim == 1 else unraveled(flat, mask)
    return stack(*positions) if return_matrix else positions


def unraveled(flat: Variable, mask: Variable) -> tuple[Variable, ...]:
    """Return the positions along each axis of an array from those in the flattened array."""
    found = []
    for axis in reversed(range(mask.ndim)):
        size = dim(mask, axis)
        found.append(flat % size if axis else flat)
        flat = flat // size
    return tuple(reversed(found))


@reported
def flatnonzero(x: Any) -> Variable:
    """Find the positions of elements of the flattened array that are not zero.

    No gradient flows through positions.

    Parameters
    ----------
    x : array_like
        Any array.

    Returns
    -------
    Variable
        An int64 vector of positions.

    Raises
    ------
    TypeError
        Where ``x`` is no variable, number or array.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.flatnonzero([[0, 5], [7, 0]]).eval())
    [1 2]
    """
    return nonzero(reshape(x, (-1,)))[0]


@public_op
def nonzero_values(x: Any) -> Variable:
    """Take the elements that are not zero, in C order.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Any array.

    Returns
    -------
    Variable
        A vector in the dtype of ``x``.

    Raises
    ------
    TypeError
        Where ``x`` is no variable, number or array.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.nonzero_values([[0, 5], [7, 0]]).eval())
    [5 7]
    """
    flat = reshape(x, (-1,))
    return index(flat, nonzero(flat)[0])
