"""Operators and methods of variables, each recording the public op that ``loopjax.tensor`` registers for it.

A method has the parameters of the function it calls, so that ``help(x.sum)`` and editors show them;
``tests/tensor/test_methods.py`` compares the two.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, NoReturn, TypeVar, overload

import jax
import numpy as np
from numpy.typing import DTypeLike

from loopjax.errors import UnsupportedError, coded, here, nearest
from loopjax.ir.public_ops import ops

V = TypeVar("V")

Axis = int | Sequence[int] | None
"""One axis, several, or all of them."""


def _refuse_values(variable: Any, other: object, operator: str, function: str) -> None:
    """Raise ``TypeError`` where a variable is compared with a number or an array as if that compared elements."""
    if isinstance(other, (int, float, complex, np.generic, np.ndarray, jax.Array)):
        raise coded(TypeError, "LJ203")(
            f"{variable!r} {operator} {other!r:.40} would compare identity, not elements; {operator} takes variables "
            "only: write "
            f"loopjax.tensor.{function}(x, y){here()}"
        )


class Methods(Generic[V]):
    """Operators and methods of a variable of class ``V``: ``x + y``, ``x[0]``, ``x.sum()``.

    Equality (``==``) of two variables is identity, as in Theano, so that they can be keys of dictionaries. With a
    number or an array it raises ``TypeError``, since it could never be true. ``eq(x, y)`` compares elements.
    """

    __slots__ = ()
    __array_priority__ = 1000

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """Record NumPy's elementwise functions: ``np.exp(x)``, ``array + x``."""
        return ops["numpy_ufunc"](ufunc, method, inputs, options)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Record NumPy's functions of arrays: ``np.sum(x)``."""
        return ops["numpy_function"](function, args, kwargs)

    if TYPE_CHECKING:

        @property
        def dtype(self) -> str: ...

        @property
        def ndim(self) -> int: ...

    def __add__(self, other: Any) -> V:
        return ops.add(self, other)

    def __radd__(self, other: Any) -> V:
        return ops.add(other, self)

    def __sub__(self, other: Any) -> V:
        return ops.sub(self, other)

    def __rsub__(self, other: Any) -> V:
        return ops.sub(other, self)

    def __mul__(self, other: Any) -> V:
        return ops.mul(self, other)

    def __rmul__(self, other: Any) -> V:
        return ops.mul(other, self)

    def __truediv__(self, other: Any) -> V:
        return ops.true_div(self, other)

    def __rtruediv__(self, other: Any) -> V:
        return ops.true_div(other, self)

    def __floordiv__(self, other: Any) -> V:
        return ops.floor_div(self, other)

    def __rfloordiv__(self, other: Any) -> V:
        return ops.floor_div(other, self)

    def __mod__(self, other: Any) -> V:
        return ops.mod(self, other)

    def __rmod__(self, other: Any) -> V:
        return ops.mod(other, self)

    def __pow__(self, other: Any) -> V:
        return ops.pow(self, other)

    def __rpow__(self, other: Any) -> V:
        return ops.pow(other, self)

    def __matmul__(self, other: Any) -> V:
        return ops.matmul(self, other)

    def __rmatmul__(self, other: Any) -> V:
        return ops.matmul(other, self)

    def __and__(self, other: Any) -> V:
        return ops.and_(self, other)

    def __rand__(self, other: Any) -> V:
        return ops.and_(other, self)

    def __or__(self, other: Any) -> V:
        return ops.or_(self, other)

    def __ror__(self, other: Any) -> V:
        return ops.or_(other, self)

    def __xor__(self, other: Any) -> V:
        return ops.xor(self, other)

    def __rxor__(self, other: Any) -> V:
        return ops.xor(other, self)

    def __lshift__(self, other: Any) -> V:
        return ops.left_shift(self, other)

    def __rlshift__(self, other: Any) -> V:
        return ops.left_shift(other, self)

    def __rshift__(self, other: Any) -> V:
        return ops.right_shift(self, other)

    def __rrshift__(self, other: Any) -> V:
        return ops.right_shift(other, self)

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Methods):
            return self is other
        _refuse_values(self, other, "==", "eq")
        return NotImplemented

    def __ne__(self, other: object) -> bool:
        if isinstance(other, Methods):
            return self is not other
        _refuse_values(self, other, "!=", "neq")
        return NotImplemented

    def __lt__(self, other: Any) -> V:
        return ops.lt(self, other)

    def __le__(self, other: Any) -> V:
        return ops.le(self, other)

    def __gt__(self, other: Any) -> V:
        return ops.gt(self, other)

    def __ge__(self, other: Any) -> V:
        return ops.ge(self, other)

    def __neg__(self) -> V:
        return ops.neg(self)

    def __pos__(self) -> V:
        return ops.identity(self)

    def __abs__(self) -> V:
        return ops.abs(self)

    def __invert__(self) -> V:
        return ops.invert(self)

    def __divmod__(self, other: Any) -> tuple[V, V]:
        return ops.floor_div(self, other), ops.mod(self, other)

    def __rdivmod__(self, other: Any) -> tuple[V, V]:
        return ops.floor_div(other, self), ops.mod(other, self)

    def __getitem__(self, key: Any) -> V:
        return ops.index(self, key)

    def __iter__(self) -> Iterator[V]:
        return iter(ops["rows"](self))

    def __array__(self, *args: Any, **options: Any) -> NoReturn:
        raise self._refusal("a function of NumPy")

    @property
    def __jax_array__(self) -> NoReturn:
        if "operator" in sys._getframe(1).f_code.co_name:  # ``array * x``: JAX then leaves it to ``x.__rmul__``
            raise AttributeError("__jax_array__")
        raise self._refusal("a function of JAX")

    def _refusal(self, function: str) -> UnsupportedError:
        return coded(UnsupportedError, "LJ704")(
            f"{function} takes arrays, and got the symbolic {self!r}; write the function of that name in "
            f"loopjax.tensor, loopjax.wrap_jax(function)(x) for one of JAX, or pass its value, x.eval(){here()}"
        )

    if not TYPE_CHECKING:  # to a type checker it would say that every name exists

        def __getattr__(self, name: str) -> NoReturn:
            if name[:2] == "__":
                raise AttributeError(name)
            own = [one for one in dir(type(self)) if one[0] != "_"]
            function = f"; use the function loopjax.tensor.{name}" if name in vars(ops) else nearest(name, own)
            if name == "at":
                function = "; write y = set_subtensor(x[0], value) for x.at[0].set(value)"
            raise coded(AttributeError, "LJ207")(
                f"a variable has no attribute {name!r}, and {self!r} was asked for it; expected a method of NumPy's "
                f"arrays that records an op, use a function of loopjax.tensor{function}{here()}"
            )

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise coded(TypeError, "LJ204")(
            f"{self!r} is symbolic and never changes: expected no assignment to x[{key!r:.40}]; write "
            f"y = set_subtensor(x[{key!r:.40}], value){here()}"
        )

    def __delitem__(self, key: Any) -> NoReturn:
        raise coded(TypeError, "LJ204")(
            f"{self!r} is symbolic and never changes; write y = x[...] with the rows to keep{here()}"
        )

    def __contains__(self, value: Any) -> NoReturn:
        raise coded(TypeError, "LJ902")(
            f"{self!r} is symbolic: Python's 'in' cannot look into it; write eq(x, value).any(){here()}"
        )

    def __format__(self, spec: str) -> str:
        if spec:
            raise coded(TypeError, "LJ902")(
                f"{self!r} is symbolic and has no digits to format; write x.eval() for its value{here()}"
            )
        return str(self)

    def __round__(self, digits: int | None = None) -> V:
        return ops.round(self)

    def __len__(self) -> NoReturn:
        raise coded(TypeError, "LJ202")(f"{self!r} has no len(): its length is symbolic; write x.shape[0]{here()}")

    def __bool__(self) -> bool:
        raise coded(TypeError, "LJ201")(
            f"{self!r} is symbolic and has no truth value; write switch(condition, a, b), or until(condition) in a "
            f"scan{here()}"
        )

    def __int__(self) -> NoReturn:
        raise coded(TypeError, "LJ902")(f"{self!r} is symbolic and no Python number; evaluate it with .eval(){here()}")

    __index__ = __int__
    __float__ = __int__
    __complex__ = __int__

    @property
    def T(self) -> V:  # noqa: N802 - the name that everybody uses
        """Transpose: the axes in reverse order."""
        return ops.transpose(self)

    @property
    def shape(self) -> V:
        """Shape as an int64 vector variable; ``x.type.shape`` has the sizes that are known."""
        return ops.shape(self)

    @property
    def size(self) -> V:
        """Number of elements, an int64 scalar variable."""
        return ops.size(self)

    @property
    def real(self) -> V:
        """Real part."""
        return ops.real(self)

    @property
    def imag(self) -> V:
        """Imaginary part."""
        return ops.imag(self)

    def conj(self) -> V:
        """Complex conjugate; see `loopjax.tensor.conj`."""
        return ops.conj(self)

    def sum(
        self,
        axis: Axis = None,
        dtype: DTypeLike | None = None,
        keepdims: bool = False,
        acc_dtype: DTypeLike | None = None,
    ) -> V:
        """Sum over axes; see `loopjax.tensor.sum`."""
        return ops.sum(self, axis, dtype, keepdims, acc_dtype)

    def prod(
        self,
        axis: Axis = None,
        dtype: DTypeLike | None = None,
        keepdims: bool = False,
        acc_dtype: DTypeLike | None = None,
    ) -> V:
        """Product over axes; see `loopjax.tensor.prod`."""
        return ops.prod(self, axis, dtype, keepdims, acc_dtype)

    def mean(
        self,
        axis: Axis = None,
        dtype: DTypeLike | None = None,
        keepdims: bool = False,
        acc_dtype: DTypeLike | None = None,
    ) -> V:
        """Arithmetic mean over axes; see `loopjax.tensor.mean`."""
        return ops.mean(self, axis, dtype, keepdims, acc_dtype)

    def var(self, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> V:
        """Variance over axes; see `loopjax.tensor.var`."""
        return ops.var(self, axis, ddof, keepdims)

    def std(self, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> V:
        """Standard deviation over axes; see `loopjax.tensor.std`."""
        return ops.std(self, axis, ddof, keepdims)

    def max(self, axis: Axis = None, keepdims: bool = False) -> V:
        """Maximum over axes; see `loopjax.tensor.max`."""
        return ops.max(self, axis, keepdims)

    def min(self, axis: Axis = None, keepdims: bool = False) -> V:
        """Minimum over axes; see `loopjax.tensor.min`."""
        return ops.min(self, axis, keepdims)

    def argmax(self, axis: Axis = None, keepdims: bool = False) -> V:
        """Positions of the maxima over axes, int64; see `loopjax.tensor.argmax`."""
        return ops.argmax(self, axis, keepdims)

    def argmin(self, axis: Axis = None, keepdims: bool = False) -> V:
        """Positions of the minima over axes, int64; see `loopjax.tensor.argmin`."""
        return ops.argmin(self, axis, keepdims)

    def any(self, axis: Axis = None, keepdims: bool = False) -> V:
        """Logical or over axes; see `loopjax.tensor.any`."""
        return ops.any(self, axis, keepdims)

    def all(self, axis: Axis = None, keepdims: bool = False) -> V:
        """Logical and over axes; see `loopjax.tensor.all`."""
        return ops.all(self, axis, keepdims)

    def cumsum(self, axis: int | None = None) -> V:
        """Cumulative sum along an axis; see `loopjax.tensor.cumsum`."""
        return ops.cumsum(self, axis)

    def cumprod(self, axis: int | None = None) -> V:
        """Cumulative product along an axis; see `loopjax.tensor.cumprod`."""
        return ops.cumprod(self, axis)

    def dot(self, y: Any) -> V:
        """Product of vectors and matrices; see `loopjax.tensor.dot`."""
        return ops.dot(self, y)

    def reshape(self, *newshape: Any, ndim: int | None = None) -> V:
        """Same elements in another shape; see `loopjax.tensor.reshape`."""
        return ops.reshape(self, *newshape, ndim=ndim)

    def dimshuffle(self, *pattern: Any) -> V:
        """Axes permuted, dropped, or added where the pattern has ``'x'``; see `loopjax.tensor.dimshuffle`."""
        return ops.dimshuffle(self, *pattern)

    def flatten(self, ndim: int = 1) -> V:
        """Trailing axes merged, down to ``ndim`` axes; see `loopjax.tensor.flatten`."""
        return ops.flatten(self, ndim)

    def transpose(self, *axes: Any) -> V:
        """Axes permuted; see `loopjax.tensor.transpose`."""
        return ops.transpose(self, *axes)

    def swapaxes(self, axis1: int, axis2: int) -> V:
        """Two axes exchanged; see `loopjax.tensor.swapaxes`."""
        return ops.swapaxes(self, axis1, axis2)

    def squeeze(self, axis: int | Sequence[int] | None = None) -> V:
        """Axes of size 1 dropped; see `loopjax.tensor.squeeze`."""
        return ops.squeeze(self, axis)

    def repeat(self, repeats: Any, axis: int | None = None) -> V:
        """Elements repeated along an axis; see `loopjax.tensor.repeat`."""
        return ops.repeat(self, repeats, axis)

    def clip(self, min: Any, max: Any) -> V:
        """Elements limited to a range; see `loopjax.tensor.clip`."""
        return ops.clip(self, min, max)

    def round(self, mode: Literal["half_to_even", "half_away_from_zero"] = "half_to_even") -> V:
        """Elements rounded to whole numbers; see `loopjax.tensor.round`."""
        return ops.round(self, mode)

    def sort(
        self, axis: int | None = -1, kind: Literal["quicksort", "mergesort", "heapsort", "stable"] | None = None
    ) -> V:
        """Elements in ascending order along an axis; see `loopjax.tensor.sort`."""
        return ops.sort(self, axis, kind)

    def argsort(
        self, axis: int | None = -1, kind: Literal["quicksort", "mergesort", "heapsort", "stable"] | None = None
    ) -> V:
        """Positions that sort along an axis, int64; see `loopjax.tensor.argsort`."""
        return ops.argsort(self, axis, kind)

    def take(self, indices: Any, axis: int | None = None, mode: Literal["raise", "clip", "wrap"] = "raise") -> V:
        """Elements at positions along an axis; see `loopjax.tensor.take`."""
        return ops.take(self, indices, axis, mode)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> V:
        """Diagonals of two axes; see `loopjax.tensor.diagonal`."""
        return ops.diagonal(self, offset, axis1, axis2)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> V:
        """Sum along the diagonals of two axes; see `loopjax.tensor.trace`."""
        return ops.trace(self, offset, axis1, axis2)

    @overload
    def nonzero(self, return_matrix: Literal[False] = False) -> tuple[V, ...]: ...

    @overload
    def nonzero(self, return_matrix: Literal[True]) -> V: ...

    def nonzero(self, return_matrix: bool = False) -> tuple[V, ...] | V:
        """Positions of the elements that are not zero; see `loopjax.tensor.nonzero`."""
        return ops.nonzero(self, return_matrix)

    def norm(self, ord: float | None = 2, axis: Axis = None, keepdims: bool = False) -> V:
        """Vector norm over axes; see `loopjax.tensor.norm`."""
        return ops.norm(self, ord, axis, keepdims)

    def ptp(self, axis: Axis = None) -> V:
        """Maximum minus minimum over axes; see `loopjax.tensor.ptp`."""
        return ops.ptp(self, axis)

    def fill(self, value: Any) -> V:
        """``value`` in the shape and dtype of this variable; see `loopjax.tensor.fill`."""
        return ops.fill(self, value)

    def zeros_like(self, dtype: DTypeLike | None = None) -> V:
        """Zeros in the shape of this variable; see `loopjax.tensor.zeros_like`."""
        return ops.zeros_like(self, dtype)

    def ones_like(self, dtype: DTypeLike | None = None) -> V:
        """Ones in the shape of this variable; see `loopjax.tensor.ones_like`."""
        return ops.ones_like(self, dtype)

    def logsumexp(self, axis: Axis = None, keepdims: bool = False) -> V:
        """Logarithm of the sum of exponentials over axes; see `loopjax.tensor.logsumexp`."""
        return ops.logsumexp(self, axis, keepdims)

    def ravel(self) -> V:
        """Elements as a vector, in C order."""
        return ops.flatten(self)

    def astype(self, dtype: DTypeLike) -> V:
        """Elements as another dtype; see `loopjax.tensor.cast`."""
        return ops.cast(self, dtype)

    def copy(self, name: str | None = None) -> V:
        """New variable of the same value, called ``name``."""
        copied: Any = ops.identity(self)
        copied.name = name
        return copied

    def set(self, value: Any) -> V:
        """``x[i].set(v)`` is ``x`` with the elements at ``i`` replaced; see `loopjax.tensor.set_subtensor`."""
        return ops.set_subtensor(self, value)

    def inc(self, value: Any) -> V:
        """``x[i].inc(v)`` is ``x`` with ``v`` added to the elements at ``i``; see `loopjax.tensor.inc_subtensor`."""
        return ops.inc_subtensor(self, value)

    def eval(self, inputs: Mapping[V, Any] | None = None) -> Any:
        """Compute the value, from values of the inputs that it depends on."""
        return ops["evaluate"](self, inputs)
