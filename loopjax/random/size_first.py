"""Theano's ``RandomStreams``, whose methods take the size first, on ``RandomStream``."""

from __future__ import annotations

from typing import Any

from loopjax.errors import here
from loopjax.ir.graph import Variable
from loopjax.random.stream import RandomStream
from loopjax.tensor.creation import arange
from loopjax.tensor.elementwise import cast
from loopjax.tensor.lengths import size_list
from loopjax.tensor.shape import dim, reshape
from loopjax.tensor.sort import argsort
from loopjax.trace.convert import as_variable
from loopjax.trace.shared import SharedVariable


class RandomStreams:
    """A ``RandomStream`` whose methods have the arguments of Theano's, ``size`` first.

    ``ndim`` is the length of ``size`` where that is a symbolic vector whose type does not say it. ``nstreams`` is
    accepted for old programs. The numbers are those of ``RandomStream`` with the same seed, not Theano's.
    """

    def __init__(self, seed: int | None = None) -> None:
        self._stream = RandomStream(seed)

    def seed(self, seed: int | None = None) -> None:
        """Starts every draw of the stream again from another seed."""
        self._stream.seed(seed)

    @property
    def state_updates(self) -> list[tuple[SharedVariable, Variable]]:
        """Each key and its value after a call, for draws outside of loops."""
        return self._stream.state_updates

    def updates(self) -> list[tuple[SharedVariable, Variable]]:
        """The same as ``state_updates``."""
        return self.state_updates

    def uniform(
        self,
        size: Any = None,
        low: Any = 0.0,
        high: Any = 1.0,
        ndim: int | None = None,
        dtype: Any = None,
        nstreams: int | None = None,
    ) -> Variable:
        """Evenly between ``low`` and ``high``."""
        return self._stream.gen("uniform", low, high, size=_size(size, ndim), dtype=dtype)

    def normal(
        self,
        size: Any = None,
        avg: Any = 0.0,
        std: Any = 1.0,
        ndim: int | None = None,
        dtype: Any = None,
        nstreams: int | None = None,
    ) -> Variable:
        """Normal, of mean ``avg`` and standard deviation ``std``."""
        return self._stream.gen("normal", avg, std, size=_size(size, ndim), dtype=dtype)

    def binomial(
        self,
        size: Any = None,
        n: Any = 1,
        p: Any = 0.5,
        ndim: int | None = None,
        dtype: Any = "int64",
        nstreams: int | None = None,
        prob: Any = None,
    ) -> Variable:
        """How many of ``n`` trials succeed, each with probability ``p`` (once called ``prob``)."""
        return self._stream.gen("binomial", n, p if prob is None else prob, size=_size(size, ndim), dtype=dtype)

    def poisson(self, size: Any = None, lam: Any = 1.0, ndim: int | None = None, dtype: Any = "int64") -> Variable:
        """Poisson, of mean ``lam``."""
        return self._stream.gen("poisson", lam, size=_size(size, ndim), dtype=dtype)

    def random_integers(
        self, size: Any = None, low: Any = 0, high: Any = 1, ndim: int | None = None, dtype: Any = "int64"
    ) -> Variable:
        """Integers from ``low`` to ``high``, both included."""
        return self._stream.gen("integers", low, as_variable(high) + 1, size=_size(size, ndim), dtype=dtype)

    def multinomial(
        self,
        size: Any = None,
        n: Any = 1,
        pvals: Any = (0.5, 0.5),
        ndim: int | None = None,
        dtype: Any = "int64",
        nstreams: int | None = None,
    ) -> Variable:
        """How many of ``n`` trials end in each class, of probabilities ``pvals``: ``(*size, classes)``."""
        return self._stream.gen("multinomial", n, pvals, size=_size(size, ndim), dtype=dtype)

    def choice(
        self,
        size: Any = None,
        a: Any = 2,
        replace: bool = True,
        p: Any = None,
        ndim: int | None = None,
        dtype: Any = None,
    ) -> Variable:
        """Elements of ``a``, or of 0 to ``a - 1``, with probabilities ``p``; in the dtype of ``a`` unless given."""
        drawn = self._stream.choice(a, _size(size, ndim), replace, p)
        return drawn if dtype is None else cast(drawn, dtype)

    def permutation(self, size: Any = None, n: Any = 1, ndim: int | None = None, dtype: Any = "int64") -> Variable:
        """0 to ``n - 1`` in another order, ``size`` times over: an array of shape ``(*size, n)``."""
        lead = [] if size is None else size_list(_size(size, ndim), "size")
        drawn = self._stream.permutation(n) if not lead else self._orders([*lead, n])
        return cast(drawn, dtype)

    def shuffle_row_elements(self, input: Any) -> Variable:
        """``input`` with each row, along its last axis, in another order of its own."""
        x = as_variable(input)
        rows = reshape(x, (-1, dim(x, x.ndim - 1)))
        orders = self._orders([dim(rows, 0), dim(rows, 1)])
        return reshape(rows[arange(dim(rows, 0)).dimshuffle(0, "x"), orders], x.shape)

    def _orders(self, size: list[Any]) -> Variable:
        """Orders along the last axis: where random numbers, of 62 bits so that no two are equal, are once sorted."""
        return argsort(self._stream.gen("integers", 0, 2**62, size=size))


class MRG_RandomStreams(RandomStreams):  # noqa: N801 - Theano's name
    """``RandomStreams`` by the name of Theano's generator for GPUs, with its default seed."""

    def __init__(self, seed: int = 12345, use_cuda: bool | None = None) -> None:
        super().__init__(seed)


def _size(size: Any, ndim: int | None) -> Any:
    """The size as ``RandomStream`` takes it."""
    if size is None or ndim is None:
        return size
    sizes = size_list(size, "size", ndim)
    if len(sizes) != ndim:
        raise ValueError(f"size has {len(sizes)} numbers, where ndim={ndim} are expected{here()}")
    return sizes
