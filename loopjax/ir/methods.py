"""Operators and methods of variables, each a word of the vocabulary that ``tensor/`` fills."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from loopjax.ir.public_ops import ops

V = TypeVar("V")


class Methods(Generic[V]):
    """What ``x + y``, ``x[0]``, ``x.sum()`` and the like record. Equality (``==``) stays identity, as in Theano:
    write ``eq(x, y)``."""

    __slots__ = ()
    __array_ufunc__ = None
    __array_priority__ = 1000

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

    def __len__(self) -> NoReturn:
        raise TypeError(f"{self!r} has no len(): its length is symbolic; write x.shape[0]")

    def __bool__(self) -> bool:
        raise TypeError(
            f"{self!r} is symbolic and has no truth value; write switch(condition, a, b), or until(condition) in a scan"
        )

    def __int__(self) -> NoReturn:
        raise TypeError(f"{self!r} is symbolic and is no Python number; evaluate it with .eval()")

    __index__ = __int__
    __float__ = __int__

    @property
    def T(self) -> V:  # noqa: N802 - the name that everybody uses
        """The axes in reverse order."""
        return ops.transpose(self)

    @property
    def shape(self) -> V:
        """The sizes, an int64 vector."""
        return ops.shape(self)

    @property
    def size(self) -> V:
        """The number of elements, an int64 scalar."""
        return ops.size(self)

    @property
    def real(self) -> V:
        """The real part."""
        return ops.real(self)

    @property
    def imag(self) -> V:
        """The imaginary part."""
        return ops.imag(self)

    def conj(self) -> V:
        """The complex conjugate."""
        return ops.conj(self)

    def sum(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.sum``."""
        return ops.sum(self, *args, **kwargs)

    def prod(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.prod``."""
        return ops.prod(self, *args, **kwargs)

    def mean(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.mean``."""
        return ops.mean(self, *args, **kwargs)

    def var(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.var``."""
        return ops.var(self, *args, **kwargs)

    def std(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.std``."""
        return ops.std(self, *args, **kwargs)

    def max(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.max``."""
        return ops.max(self, *args, **kwargs)

    def min(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.min``."""
        return ops.min(self, *args, **kwargs)

    def argmax(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.argmax``."""
        return ops.argmax(self, *args, **kwargs)

    def argmin(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.argmin``."""
        return ops.argmin(self, *args, **kwargs)

    def any(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.any``."""
        return ops.any(self, *args, **kwargs)

    def all(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.all``."""
        return ops.all(self, *args, **kwargs)

    def cumsum(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.cumsum``."""
        return ops.cumsum(self, *args, **kwargs)

    def cumprod(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.cumprod``."""
        return ops.cumprod(self, *args, **kwargs)

    def dot(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.dot``."""
        return ops.dot(self, *args, **kwargs)

    def reshape(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.reshape``."""
        return ops.reshape(self, *args, **kwargs)

    def dimshuffle(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.dimshuffle``."""
        return ops.dimshuffle(self, *args, **kwargs)

    def flatten(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.flatten``."""
        return ops.flatten(self, *args, **kwargs)

    def transpose(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.transpose``."""
        return ops.transpose(self, *args, **kwargs)

    def swapaxes(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.swapaxes``."""
        return ops.swapaxes(self, *args, **kwargs)

    def squeeze(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.squeeze``."""
        return ops.squeeze(self, *args, **kwargs)

    def repeat(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.repeat``."""
        return ops.repeat(self, *args, **kwargs)

    def clip(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.clip``."""
        return ops.clip(self, *args, **kwargs)

    def round(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.round``."""
        return ops.round(self, *args, **kwargs)

    def sort(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.sort``."""
        return ops.sort(self, *args, **kwargs)

    def argsort(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.argsort``."""
        return ops.argsort(self, *args, **kwargs)

    def take(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.take``."""
        return ops.take(self, *args, **kwargs)

    def diagonal(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.diagonal``."""
        return ops.diagonal(self, *args, **kwargs)

    def trace(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.trace``."""
        return ops.trace(self, *args, **kwargs)

    def nonzero(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.nonzero``."""
        return ops.nonzero(self, *args, **kwargs)

    def norm(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.norm``."""
        return ops.norm(self, *args, **kwargs)

    def ptp(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.ptp``."""
        return ops.ptp(self, *args, **kwargs)

    def fill(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.fill``."""
        return ops.fill(self, *args, **kwargs)

    def zeros_like(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.zeros_like``."""
        return ops.zeros_like(self, *args, **kwargs)

    def ones_like(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.ones_like``."""
        return ops.ones_like(self, *args, **kwargs)

    def logsumexp(self, *args: Any, **kwargs: Any) -> V:
        """See ``loopjax.tensor.logsumexp``."""
        return ops.logsumexp(self, *args, **kwargs)

    def ravel(self) -> V:
        """All elements as a vector, in C order."""
        return ops.flatten(self)

    def astype(self, dtype: Any) -> V:
        """The values as another dtype."""
        return ops.cast(self, dtype)

    def copy(self, name: str | None = None) -> V:
        """A new variable of the same value."""
        copied: Any = ops.identity(self)
        copied.name = name
        return copied

    def set(self, value: Any) -> V:
        """``x[i].set(v)``: ``x`` with those elements replaced."""
        return ops.set_subtensor(self, value)

    def inc(self, value: Any) -> V:
        """``x[i].inc(v)``: ``x`` with ``v`` added to those elements."""
        return ops.inc_subtensor(self, value)

    def eval(self, inputs: Mapping[V, Any] | None = None) -> Any:
        """The value, given those of the inputs it needs."""
        return ops["evaluate"](self, inputs)
