"""Functions on arrays that the peers have and the core has not, on ``jax.numpy``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from loopjax import tensor
from loopjax.compat.rows import row
from loopjax.errors import coded, here
from loopjax.interop.wrap_jax import wrap_jax
from loopjax.ir.graph import Variable
from loopjax.trace.convert import as_variable


def topk(x: Any, kth: Any, axis: Any = -1, sorted: bool = True, idx_dtype: str = "int64") -> Variable:
    """The ``kth`` largest elements along an axis, the largest last; the smallest for a negative ``kth``."""
    return topk_and_argtopk(x, kth, axis, sorted, idx_dtype)[0]


def argtopk(x: Any, kth: Any, axis: Any = -1, sorted: bool = True, idx_dtype: str = "int64") -> Variable:
    """Positions of the ``kth`` largest elements along an axis."""
    return topk_and_argtopk(x, kth, axis, sorted, idx_dtype)[1]


def topk_and_argtopk(x: Any, kth: Any, axis: Any = -1, sorted: bool = True, idx_dtype: str = "int64") -> list[Variable]:
    """The ``kth`` largest elements along an axis, and their positions."""
    array = as_variable(x)
    if axis is None:
        array, axis = tensor.flatten(array), -1
    count = int(np.asarray(getattr(kth, "data", kth)))
    order = tensor.swapaxes(tensor.argsort(array, axis=axis), axis, -1)
    places = tensor.swapaxes(order[..., -count:] if count > 0 else order[..., :-count], axis, -1)
    return [take_along_axis(array, places, axis), tensor.cast(places, idx_dtype)]


def take_along_axis(arr: Any, indices: Any, axis: int = 0) -> Variable:
    """Elements at positions given for each row along an axis."""
    made: Variable = row(lambda x, places: jnp.take_along_axis(x, places, axis), 2, "take_along_axis")(arr, indices)
    return made


def unique(
    ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False, axis: Any = None
) -> Any:
    """The distinct elements in ascending order, with positions, inverse and counts where asked."""
    if axis is not None:
        raise coded(ValueError, "LJ505")(f"unique() works on all elements; axis={axis!r} is not supported{here()}")
    flat = tensor.flatten(ar)
    order = tensor.argsort(flat, kind="stable")
    ranked = flat[order]
    is_first = tensor.join(0, tensor.ones(1, dtype="bool"), tensor.neq(ranked[1:], ranked[:-1]))
    starts = is_first.nonzero()[0]
    found = [ranked[starts]]
    if return_index:
        found.append(order[starts])
    if return_inverse:
        rank = tensor.cumsum(tensor.cast(is_first, "int64")) - 1
        found.append(tensor.set_subtensor(tensor.zeros_like(order)[order], rank))
    if return_counts:
        found.append(tensor.join(0, starts[1:], flat.size.dimshuffle("x")) - starts)
    return found if len(found) > 1 else found[0]


def einsum(subscripts: str, *operands: Any, optimize: Any = None) -> Variable:
    """Sums of products by Einstein's notation; see ``jax.numpy.einsum``."""
    made: Variable = row(lambda arrays: jnp.einsum(subscripts, *arrays), None, "einsum")(list(operands))
    return made


def pad(x: Any, pad_width: Any, mode: str = "constant", **options: Any) -> Variable:
    """An array with more elements around it; see ``jax.numpy.pad``."""
    widths = jax.tree.map(int, pad_width, is_leaf=lambda one: isinstance(one, np.ndarray) and one.ndim == 0)
    if isinstance(pad_width, np.ndarray):
        widths = pad_width.tolist()
    constants = options.get("constant_values")
    if isinstance(constants, Variable):
        made: Variable = row(lambda x, value: jnp.pad(x, widths, mode, constant_values=value), 2, "pad")(x, constants)
        return made
    padded: Variable = row(lambda x: jnp.pad(x, widths, mode, **options), 1, "pad")(x)
    return padded


def median(x: Any, axis: Any = None, keepdims: bool = False) -> Variable:
    """Median over axes."""
    axes = tuple(axis) if isinstance(axis, list) else axis
    made: Variable = row(lambda x: jnp.median(x, axes, keepdims=keepdims), 1, "median")(x)
    return made


def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Variable:
    """Values of a piecewise linear function; see ``jax.numpy.interp``."""
    made: Variable = row(lambda x, xp, fp: jnp.interp(x, xp, fp, left, right, period), 3, "interp")(x, xp, fp)
    return made


def interpolate1d(
    x: Any, y: Any, method: str = "linear", left_pad: Any = None, right_pad: Any = None, extrapolate: bool = True
) -> Callable[[Any], Variable]:
    """Return a function that interpolates between points, linearly or by steps."""
    if method == "linear":
        return lambda at: interp(at, x, y, left_pad, right_pad)
    side = {"nearest": None, "first": "right", "last": "left", "mean": None}.get(method)
    if side is None:
        raise coded(ValueError, "LJ901")(f"interpolate1d() has 'linear', 'first' or 'last', not {method!r}{here()}")
    shift = 1 if side == "right" else 0

    def stepped(at: Any) -> Variable:
        places = tensor.searchsorted(x, at, side="right" if shift else "left") - shift
        return as_variable(y)[tensor.clip(places, 0, as_variable(y).shape[0] - 1)]

    return stepped


def flip(x: Any, axis: Any = None) -> Variable:
    """Elements in reverse order along axes."""
    array = as_variable(x)
    axes = range(array.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    chosen = {place % array.ndim for place in axes}
    return array[tuple(slice(None, None, -1) if place in chosen else slice(None) for place in range(array.ndim))]


def nan_to_num(x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Variable:
    """NaN and infinities replaced by numbers."""
    made: Variable = row(lambda x: jnp.nan_to_num(x, True, nan, posinf, neginf), 1, "nan_to_num")(x)
    return made


def isposinf(x: Any) -> Variable:
    """True where an element is plus infinity."""
    return tensor.eq(x, np.inf)


def isneginf(x: Any) -> Variable:
    """True where an element is minus infinity."""
    return tensor.eq(x, -np.inf)


def geomspace(start: Any, end: Any, steps: Any = 50, base: float = 10.0, dtype: Any = None, **options: Any) -> Variable:
    """Numbers from ``start`` to ``end`` with equal ratios."""
    made = tensor.exp(tensor.linspace(tensor.log(start), tensor.log(end), options.get("num", steps)))
    return made if dtype is None else tensor.cast(made, dtype)


def logspace(start: Any, end: Any, steps: Any = 50, base: Any = 10.0, dtype: Any = None, **options: Any) -> Variable:
    """Powers of ``base`` with equally spaced exponents."""
    made = as_variable(base) ** tensor.linspace(start, end, options.get("num", steps))
    return made if dtype is None else tensor.cast(made, dtype)


def cov(m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: Any = None, **options: Any) -> Variable:
    """Covariances of variables, the rows of ``m``; ``fweights`` and ``aweights`` weigh observations."""
    weights: dict[str, Any] = {
        key: getattr(value, "data", value) for key, value in options.items() if value is not None
    }
    given = [m] if y is None else [m, y]
    made: Variable = row(lambda m, y=None: jnp.cov(m, y, rowvar, bias, ddof, **weights), len(given), "cov")(*given)
    return made


def bartlett(M: Any) -> Variable:  # noqa: N803
    """Bartlett's window of ``M`` points."""
    places = tensor.arange(M)
    return 1 - tensor.abs(2 * places / tensor.maximum(as_variable(M) - 1, 1) - 1)


def broadcast_arrays(*arrays: Any) -> list[Variable]:
    """Arrays stretched to one shape."""
    return list(row(lambda arrays: tuple(jnp.broadcast_arrays(*arrays)), None, "broadcast_arrays")(list(arrays)))


def broadcast_shape(*arrays: Any, arrays_are_shapes: bool = False, **options: Any) -> tuple[Any, ...]:
    """The sizes that arrays stretch to."""
    zeros = [tensor.zeros(one) for one in arrays] if arrays_are_shapes else list(arrays)
    spread = broadcast_arrays(*zeros)[0]
    return tuple(spread.shape[axis] for axis in range(spread.ndim))


def tril_indices(n: Any, k: int = 0, m: Any = None) -> tuple[Variable, ...]:
    """Positions of the lower triangle of a matrix."""
    return tensor.nonzero(tensor.tri(n, m, k, dtype="bool"))


def tril_indices_from(a: Any, k: int = 0) -> tuple[Variable, ...]:
    """Positions of the lower triangle of a given matrix."""
    matrix = as_variable(a)
    return tril_indices(matrix.shape[0], k, matrix.shape[1])


def triu_indices(n: Any, k: int = 0, m: Any = None) -> tuple[Variable, ...]:
    """Positions of the upper triangle of a matrix."""
    return tensor.nonzero(tensor.invert(tensor.tri(n, m, k - 1, dtype="bool")))


def triu_indices_from(a: Any, k: int = 0) -> tuple[Variable, ...]:
    """Positions of the upper triangle of a given matrix."""
    matrix = as_variable(a)
    return triu_indices(matrix.shape[0], k, matrix.shape[1])


def inverse_permutation(perm: Any) -> Variable:
    """The permutation that undoes one."""
    return tensor.argsort(perm)


def permute_row_elements(x: Any, y: Any, inverse: bool = False) -> Variable:
    """The rows of ``x`` in the orders ``y``."""
    order = tensor.argsort(y, axis=-1) if inverse else as_variable(y)
    array = as_variable(x)
    if order.ndim < array.ndim:
        order = tensor.broadcast_to(order, array.shape)
    return take_along_axis(array, order, -1)


def fill_diagonal(a: Any, val: Any) -> Variable:
    """``a`` with a value on the main diagonal of its first to last axis."""
    array = as_variable(a)
    if array.ndim == 2:
        return tensor.fill_diagonal(array, val)
    places = tensor.arange(array.shape[0])
    return tensor.set_subtensor(array[(places,) * array.ndim], val)


def fill_diagonal_offset(a: Any, val: Any, offset: Any) -> Variable:
    """``a`` with a value on a diagonal beside the main one."""
    array = as_variable(a)
    rows, columns = tensor.arange(array.shape[0]), tensor.arange(array.shape[1])
    return tensor.switch(tensor.eq(rows[:, None] + offset, columns[None, :]), tensor.cast(val, array.dtype), array)


def convolve(a: Any, b: Any, mode: str = "full") -> Variable:
    """Convolution of two vectors."""
    made: Variable = row(lambda a, b: jnp.convolve(a, b, mode), 2, "convolve")(a, b)
    return made


def convolve1d(in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Variable:
    """Convolution of two vectors."""
    return convolve(in1, in2, mode)


def convolve2d(
    in1: Any, in2: Any, mode: Any = "full", boundary: str = "fill", fillvalue: Any = 0, **o: Any
) -> Variable:
    """Convolution of two matrices."""
    import jax.scipy.signal as signal

    if boundary != "fill" or fillvalue != 0:
        raise coded(ValueError, "LJ901")(
            f"convolve2d() has boundary='fill' and fillvalue=0, not {boundary!r}, {fillvalue!r}{here()}"
        )
    made: Variable = row(lambda a, b: signal.convolve2d(a, b, mode), 2, "convolve2d")(in1, in2)
    return made


def divmod(x: Any, y: Any) -> tuple[Variable, Variable]:
    """Quotient rounded down, and remainder."""
    return tensor.floor_div(x, y), tensor.mod(x, y)


def ceil_intdiv(a: Any, b: Any) -> Variable:
    """Quotient of integers rounded up."""
    return -tensor.floor_div(tensor.neg(a), b)


def iround(x: Any, mode: str = "half_to_even") -> Variable:
    """Elements rounded to integers."""
    return tensor.cast(tensor.round(x, mode), "int64")  # type: ignore[arg-type]


def round_half_to_even(x: Any) -> Variable:
    """Elements rounded to whole numbers, halves to even ones."""
    return tensor.round(x, "half_to_even")


def complex_from_polar(abs: Any, angle: Any) -> Variable:
    """Complex numbers of given absolute values and angles."""
    return tensor.complex(abs * tensor.cos(angle), abs * tensor.sin(angle))


def default(x: Any, default: Any) -> Variable:
    """``x``, or a default where it is ``None``."""
    return as_variable(default if x is None else x)


def smallest(*args: Any) -> Variable:
    """Smallest of several, elementwise."""
    return functools.reduce(tensor.minimum, args[1:], as_variable(args[0]))


def largest(*args: Any) -> Variable:
    """Largest of several, elementwise."""
    return functools.reduce(tensor.maximum, args[1:], as_variable(args[0]))


def horizontal_stack(*args: Any) -> Variable:
    """Matrices beside each other."""
    return tensor.concatenate(list(args), axis=1)


def vertical_stack(*args: Any) -> Variable:
    """Matrices below each other."""
    return tensor.concatenate(list(args), axis=0)


def concat_with_broadcast(tensor_list: Any, axis: int = 0) -> Variable:
    """Arrays joined along an axis, stretched along the others."""
    made: Variable = row(lambda arrays: jnp.concatenate(_stretched(arrays, axis), axis), None, "concat_with_broadcast")(
        list(tensor_list)
    )
    return made


def _stretched(arrays: Any, axis: int) -> list[Any]:
    one = [array.shape[:axis] + (1,) + array.shape[axis % array.ndim + 1 :] for array in arrays]
    shape = list(jnp.broadcast_shapes(*one))
    whole = []
    for array in arrays:
        shape[axis] = array.shape[axis]
        whole.append(jnp.broadcast_to(array, tuple(shape)))
    return whole


def split_dims(x: Any, shape: Any, axis: int = 0) -> Variable:
    """An axis reshaped to several."""
    array = as_variable(x)
    place = axis % max(array.ndim, 1)
    sizes = [array.shape[i] for i in range(array.ndim)]
    given = list(shape) if isinstance(shape, (list, tuple)) else [shape]
    return tensor.reshape(array, [*sizes[:place], *given, *sizes[place + 1 :]])


def join_dims(x: Any, start_axis: int = 0, n_axes: int | None = None) -> Variable:
    """Several axes merged to one."""
    array = as_variable(x)
    place = start_axis % array.ndim
    count = array.ndim - place if n_axes is None else n_axes
    sizes = [array.shape[i] for i in range(array.ndim)]
    return tensor.reshape(array, [*sizes[:place], -1, *sizes[place + count :]])


def slice_at_axis(sl: slice, axis: int) -> tuple[Any, ...]:
    """An index that takes a slice of one axis."""
    return (slice(None),) * axis + (sl,) if axis >= 0 else (..., sl) + (slice(None),) * (-axis - 1)


def ix_(*args: Any) -> tuple[Variable, ...]:
    """Vectors of positions as an open mesh."""
    count = len(args)
    return tuple(
        as_variable(one).dimshuffle(*["x"] * place, 0, *["x"] * (count - place - 1)) for place, one in enumerate(args)
    )


def get_vector_length(v: Any) -> int:
    """The length of a vector, which must be known while recording."""
    length = len(v) if isinstance(v, (list, tuple)) else as_variable(v).type.shape[0]
    if length is None:
        raise ValueError(f"the length of {v!r} is not known while recording{here()}")
    return int(length)


def is_flat(var: Any, ndim: int | None = None, outdim: int | None = None) -> bool:
    """Test if a variable has a number of dimensions, 1 by default."""
    return as_variable(var).ndim == (ndim or outdim or 1)


def scalar_from_tensor(x: Any) -> Variable:
    """A scalar as it is."""
    return as_variable(x)


tensor_from_scalar = tensor_copy = scalar_from_tensor


def make_slice(*args: Any) -> slice:
    """A slice."""
    return slice(*args)


def transfer(var: Any, target: str) -> Variable:
    """The variable itself: JAX places arrays."""
    return as_variable(var)


def vectorize(func: Callable[..., Any], signature: str | None = None) -> Callable[..., Any]:
    """Return a function of variables as one that broadcasts over leading axes, by NumPy's signature."""
    from loopjax.interop.to_jax import to_jax

    parsed = (signature or "").replace(" ", "").partition("->")

    def cores(text: str) -> list[int]:
        inner = text.strip("()").split("),(") if text else []
        return [len([axis for axis in one.split(",") if axis]) for one in inner]

    def mapped(*args: Any) -> Any:
        given = [as_variable(one) for one in args]
        counts = cores(parsed[0]) if signature else [0] * len(given)
        inner = [
            one.type.with_shape(one.type.shape[one.ndim - count :])() for one, count in zip(given, counts, strict=True)
        ]
        outputs = func(*inner)
        several = isinstance(outputs, (list, tuple))
        run = to_jax(inner, list(outputs) if several else outputs, on_unused_input="ignore", keep_x64=True)
        made = wrap_jax(jnp.vectorize(run, signature=signature), name="vectorize", x64=True)(*given)
        return list(made) if several else made

    return mapped


_RENAMED = {
    "power": "pow",
    "true_divide": "true_div",
    "floor_divide": "floor_div",
    "conjugate": "conj",
    "greater": "gt",
    "greater_equal": "ge",
    "less": "lt",
    "less_equal": "le",
    "equal": "eq",
    "not_equal": "neq",
    "dense_dot": "dot",
    "atleast_Nd": "atleast_nd",
    "sgn": "sgn",
}


def names() -> dict[str, Callable[..., Any]]:
    """Return the functions by name."""
    own = {name: value for name, value in globals().items() if getattr(value, "__module__", "") == __name__}
    return {
        **{name: value for name, value in own.items() if name[0] != "_" and name not in ("names",)},
        **{name: getattr(tensor, there) for name, there in _RENAMED.items()},
    }
