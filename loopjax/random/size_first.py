"""Theano's ``RandomStreams``, whose methods take the size first, on ``RandomStream``."""

from __future__ import annotations

from typing import Any

from numpy.typing import DTypeLike

from loopjax.errors import coded, here
from loopjax.ir.graph import Variable
from loopjax.random.keys import Size, TensorLike
from loopjax.random.stream import RandomStream
from loopjax.tensor.creation import arange
from loopjax.tensor.elementwise import cast
from loopjax.tensor.lengths import size_list
from loopjax.tensor.shape import dim, reshape
from loopjax.tensor.sort import argsort
from loopjax.trace.convert import as_variable
from loopjax.trace.shared import SharedVariable


class RandomStreams:
    """A ``RandomStream`` whose methods have the parameters of Theano's, ``size`` first.

    All methods take ``ndim``, the length of ``size`` where that is a symbolic vector whose type does not say it.
    ``nstreams`` is accepted for old programs and ignored. The numbers are those of ``RandomStream`` with the same seed,
    not Theano's. Derivatives are those of the methods of ``RandomStream``.

    Parameters
    ----------
    seed : int, optional
        From 0 to ``2**32 - 1``; by default one from the system.

    Examples
    --------
    >>> from loopjax.random.size_first import RandomStreams
    >>> print(RandomStreams(1).normal((2, 3), avg=0.0, std=2.0).type)
    float32(2, 3)
    """

    def __init__(self, seed: int | None = None) -> None:
        self._stream = RandomStream(seed)

    def seed(self, seed: int | None = None) -> None:
        """Start every draw of the stream again from another seed."""
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
        size: Size = None,
        low: TensorLike = 0.0,
        high: TensorLike = 1.0,
        ndim: int | None = None,
        dtype: DTypeLike | None = None,
        nstreams: int | None = None,
    ) -> Variable:
        """Draw evenly from ``low``, included, to ``high``, excluded."""
        return self._stream.uniform(low, high, size=_size(size, ndim), dtype=dtype)

    def normal(
        self,
        size: Size = None,
        avg: TensorLike = 0.0,
        std: TensorLike = 1.0,
        ndim: int | None = None,
        dtype: DTypeLike | None = None,
        nstreams: int | None = None,
    ) -> Variable:
        """Draw from the normal distribution of mean ``avg`` and standard deviation ``std``."""
        return self._stream.normal(avg, std, size=_size(size, ndim), dtype=dtype)

    def binomial(
        self,
        size: Size = None,
        n: TensorLike = 1,
        p: TensorLike = 0.5,
        ndim: int | None = None,
        dtype: DTypeLike | None = "int64",
        nstreams: int | None = None,
        prob: TensorLike | None = None,
    ) -> Variable:
        """Draw the number of successes among ``n`` trials of probability ``p``, whose older name is ``prob``."""
        return self._stream.binomial(n, p if prob is None else prob, size=_size(size, ndim), dtype=dtype)

    def poisson(
        self, size: Size = None, lam: TensorLike = 1.0, ndim: int | None = None, dtype: DTypeLike | None = "int64"
    ) -> Variable:
        """Draw from the Poisson distribution of mean ``lam``."""
        return self._stream.poisson(lam, size=_size(size, ndim), dtype=dtype)

    def random_integers(
        self,
        size: Size = None,
        low: TensorLike = 0,
        high: TensorLike = 1,
        ndim: int | None = None,
        dtype: DTypeLike | None = "int64",
    ) -> Variable:
        """Draw integers evenly from ``low`` to ``high``, both included."""
        return self._stream.integers(low, as_variable(high) + 1, size=_size(size, ndim), dtype=dtype)

    def multinomial(
        self,
        size: Size = None,
        n: TensorLike = 1,
        pvals: TensorLike = (0.5, 0.5),
        ndim: int | None = None,
        dtype: DTypeLike | None = "int64",
        nstreams: int | None = None,
    ) -> Variable:
        """Draw how many of ``n`` trials end in each class of probability ``pvals``, an array ``(*size, classes)``."""
        return self._stream.multinomial(n, pvals, size=_size(size, ndim), dtype=dtype)

    def choice(
        self,
        size: Size = None,
        a: TensorLike = 2,
        replace: bool = True,
        p: TensorLike | None = None,
        ndim: int | None = None,
        dtype: DTypeLike | None = None,
    ) -> Variable:
        """Draw rows of ``a``, or integers below ``a``, with probabilities ``p``; in the dtype of ``a`` unless given."""
        drawn = self._stream.choice(a, _size(size, ndim), replace, p)
        return drawn if dtype is None else cast(drawn, dtype)

    def permutation(
        self, size: Size = None, n: TensorLike = 1, ndim: int | None = None, dtype: DTypeLike = "int64"
    ) -> Variable:
        """Draw orders of the integers from 0 to ``n - 1``, an array of shape ``(*size, n)``."""
        lead = [] if size is None else size_list(_size(size, ndim), "size")
        drawn = self._stream.permutation(n) if not lead else self._orders([*lead, n])
        return cast(drawn, dtype)

    def shuffle_row_elements(self, input: TensorLike) -> Variable:
        """Draw an order of each row of ``input``, along its last axis, independently."""
        x = as_variable(input)
        rows = reshape(x, (-1, dim(x, x.ndim - 1)))
        orders = self._orders([dim(rows, 0), dim(rows, 1)])
        return reshape(rows[arange(dim(rows, 0)).dimshuffle(0, "x"), orders], x.shape)

    def _orders(self, size: list[Any]) -> Variable:
        """Orders along the last axis, by sorting random integers of 62 bits, which are hardly ever equal."""
        return argsort(self._stream.integers(0, 2**62, size=size))


class MRG_RandomStreams(RandomStreams):  # noqa: N801 - Theano's name
    """``RandomStreams`` under the name of Theano's generator for GPUs, with its default seed."""

    def __init__(self, seed: int = 12345, use_cuda: bool | None = None) -> None:
        super().__init__(seed)


def _size(size: Size, ndim: int | None) -> Any:
    """The size as ``RandomStream`` takes it."""
    if size is None or ndim is None:
        return size
    sizes = size_list(size, "size", ndim)
    if len(sizes) != ndim:
        raise coded(ValueError, "LJ506")(f"size has {len(sizes)} numbers, where ndim={ndim} are expected{here()}")
    return sizes
