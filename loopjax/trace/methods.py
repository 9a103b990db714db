"""Operators and methods of variables, each a word of the vocabulary that ``tensor/`` fills."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

if TYPE_CHECKING:
    from loopjax.trace.graph import Variable

F = TypeVar("F", bound=Callable[..., Any])

VOCABULARY: dict[str, Callable[..., Any]] = {}
"""The functions that users write, by name: methods find theirs here, so that ``trace/`` imports none of them."""


def word(function: F) -> F:
    """Adds a function to the vocabulary under its own name; raises where the name is taken."""
    name = function.__name__
    if name in VOCABULARY:
        raise ValueError(f"the vocabulary has a {name!r} already")
    VOCABULARY[name] = function
    return function


def say(name: str, *args: Any, **kwargs: Any) -> Variable:
    """Calls a word of the vocabulary."""
    said: Variable = VOCABULARY[name](*args, **kwargs)
    return said


class Methods:
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

    def __add__(self, other: Any) -> Variable:
        return say("add", self, other)

    def __radd__(self, other: Any) -> Variable:
        return say("add", other, self)

    def __sub__(self, other: Any) -> Variable:
        return say("sub", self, other)

    def __rsub__(self, other: Any) -> Variable:
        return say("sub", other, self)

    def __mul__(self, other: Any) -> Variable:
        return say("mul", self, other)

    def __rmul__(self, other: Any) -> Variable:
        return say("mul", other, self)

    def __truediv__(self, other: Any) -> Variable:
        return say("true_div", self, other)

    def __rtruediv__(self, other: Any) -> Variable:
        return say("true_div", other, self)

    def __floordiv__(self, other: Any) -> Variable:
        return say("floor_div", self, other)

    def __rfloordiv__(self, other: Any) -> Variable:
        return say("floor_div", other, self)

    def __mod__(self, other: Any) -> Variable:
        return say("mod", self, other)

    def __rmod__(self, other: Any) -> Variable:
        return say("mod", other, self)

    def __pow__(self, other: Any) -> Variable:
        return say("pow", self, other)

    def __rpow__(self, other: Any) -> Variable:
        return say("pow", other, self)

    def __matmul__(self, other: Any) -> Variable:
        return say("matmul", self, other)

    def __rmatmul__(self, other: Any) -> Variable:
        return say("matmul", other, self)

    def __and__(self, other: Any) -> Variable:
        return say("and_", self, other)

    def __rand__(self, other: Any) -> Variable:
        return say("and_", other, self)

    def __or__(self, other: Any) -> Variable:
        return say("or_", self, other)

    def __ror__(self, other: Any) -> Variable:
        return say("or_", other, self)

    def __xor__(self, other: Any) -> Variable:
        return say("xor", self, other)

    def __rxor__(self, other: Any) -> Variable:
        return say("xor", other, self)

    def __lshift__(self, other: Any) -> Variable:
        return say("left_shift", self, other)

    def __rlshift__(self, other: Any) -> Variable:
        return say("left_shift", other, self)

    def __rshift__(self, other: Any) -> Variable:
        return say("right_shift", self, other)

    def __rrshift__(self, other: Any) -> Variable:
        return say("right_shift", other, self)

    def __lt__(self, other: Any) -> Variable:
        return say("lt", self, other)

    def __le__(self, other: Any) -> Variable:
        return say("le", self, other)

    def __gt__(self, other: Any) -> Variable:
        return say("gt", self, other)

    def __ge__(self, other: Any) -> Variable:
        return say("ge", self, other)

    def __neg__(self) -> Variable:
        return say("neg", self)

    def __pos__(self) -> Variable:
        return say("identity", self)

    def __abs__(self) -> Variable:
        return say("abs", self)

    def __invert__(self) -> Variable:
        return say("invert", self)

    def __divmod__(self, other: Any) -> tuple[Variable, Variable]:
        return say("floor_div", self, other), say("mod", self, other)

    def __rdivmod__(self, other: Any) -> tuple[Variable, Variable]:
        return say("floor_div", other, self), say("mod", other, self)

    def __getitem__(self, key: Any) -> Variable:
        return say("index", self, key)

    def __iter__(self) -> Iterator[Variable]:
        return iter(VOCABULARY["rows"](self))

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
    def T(self) -> Variable:  # noqa: N802 - the name that everybody uses
        """The axes in reverse order."""
        return say("transpose", self)

    @property
    def shape(self) -> Variable:
        """The sizes, an int64 vector."""
        return say("shape", self)

    @property
    def size(self) -> Variable:
        """The number of elements, an int64 scalar."""
        return say("size", self)

    @property
    def real(self) -> Variable:
        """The real part."""
        return say("real", self)

    @property
    def imag(self) -> Variable:
        """The imaginary part."""
        return say("imag", self)

    def conj(self) -> Variable:
        """The complex conjugate."""
        return say("conj", self)

    def sum(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.sum``."""
        return say("sum", self, *args, **kwargs)

    def prod(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.prod``."""
        return say("prod", self, *args, **kwargs)

    def mean(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.mean``."""
        return say("mean", self, *args, **kwargs)

    def var(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.var``."""
        return say("var", self, *args, **kwargs)

    def std(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.std``."""
        return say("std", self, *args, **kwargs)

    def max(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.max``."""
        return say("max", self, *args, **kwargs)

    def min(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.min``."""
        return say("min", self, *args, **kwargs)

    def argmax(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.argmax``."""
        return say("argmax", self, *args, **kwargs)

    def argmin(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.argmin``."""
        return say("argmin", self, *args, **kwargs)

    def any(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.any``."""
        return say("any", self, *args, **kwargs)

    def all(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.all``."""
        return say("all", self, *args, **kwargs)

    def cumsum(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.cumsum``."""
        return say("cumsum", self, *args, **kwargs)

    def cumprod(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.cumprod``."""
        return say("cumprod", self, *args, **kwargs)

    def dot(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.dot``."""
        return say("dot", self, *args, **kwargs)

    def reshape(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.reshape``."""
        return say("reshape", self, *args, **kwargs)

    def dimshuffle(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.dimshuffle``."""
        return say("dimshuffle", self, *args, **kwargs)

    def flatten(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.flatten``."""
        return say("flatten", self, *args, **kwargs)

    def transpose(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.transpose``."""
        return say("transpose", self, *args, **kwargs)

    def swapaxes(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.swapaxes``."""
        return say("swapaxes", self, *args, **kwargs)

    def squeeze(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.squeeze``."""
        return say("squeeze", self, *args, **kwargs)

    def repeat(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.repeat``."""
        return say("repeat", self, *args, **kwargs)

    def clip(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.clip``."""
        return say("clip", self, *args, **kwargs)

    def round(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.round``."""
        return say("round", self, *args, **kwargs)

    def sort(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.sort``."""
        return say("sort", self, *args, **kwargs)

    def argsort(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.argsort``."""
        return say("argsort", self, *args, **kwargs)

    def take(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.take``."""
        return say("take", self, *args, **kwargs)

    def diagonal(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.diagonal``."""
        return say("diagonal", self, *args, **kwargs)

    def trace(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.trace``."""
        return say("trace", self, *args, **kwargs)

    def nonzero(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.nonzero``."""
        return say("nonzero", self, *args, **kwargs)

    def norm(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.norm``."""
        return say("norm", self, *args, **kwargs)

    def ptp(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.ptp``."""
        return say("ptp", self, *args, **kwargs)

    def fill(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.fill``."""
        return say("fill", self, *args, **kwargs)

    def zeros_like(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.zeros_like``."""
        return say("zeros_like", self, *args, **kwargs)

    def ones_like(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.ones_like``."""
        return say("ones_like", self, *args, **kwargs)

    def logsumexp(self, *args: Any, **kwargs: Any) -> Variable:
        """See ``loopjax.tensor.logsumexp``."""
        return say("logsumexp", self, *args, **kwargs)

    def ravel(self) -> Variable:
        """All elements as a vector, in C order."""
        return say("flatten", self)

    def astype(self, dtype: Any) -> Variable:
        """The values as another dtype."""
        return say("cast", self, dtype)

    def copy(self, name: str | None = None) -> Variable:
        """A new variable of the same value."""
        copied: Variable = say("identity", self)
        copied.name = name
        return copied

    def set(self, value: Any) -> Variable:
        """``x[i].set(v)``: ``x`` with those elements replaced."""
        return say("set_subtensor", self, value)

    def inc(self, value: Any) -> Variable:
        """``x[i].inc(v)``: ``x`` with ``v`` added to those elements."""
        return say("inc_subtensor", self, value)

    def eval(self, inputs: Mapping[Variable, Any] | None = None) -> Any:
        """The value, given those of the inputs it needs."""
        return VOCABULARY["evaluate"](self, inputs)
