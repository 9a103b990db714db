"""Methods of ``RandomStream`` that draw from distributions of integers; the samplers are in ``discrete.py``."""

from __future__ import annotations

from numpy.typing import DTypeLike

from loopjax.ir.graph import Constant, Variable
from loopjax.random.keys import KeySource, Size, TensorLike, distribution_method
from loopjax.trace.convert import as_variable


class DiscreteMethods(KeySource):
    """Distributions of integers. No gradient flows through their draws."""

    @distribution_method()
    def bernoulli(self, p: TensorLike = 0.5, size: Size = None, *, dtype: DTypeLike | None = None) -> Variable:
        """Draw 1 with probability ``p``, else 0.

        Parameters
        ----------
        p : array_like of float, optional
            Probability of a 1.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``int64`` by default.

        Returns
        -------
        Variable
            Independent draws of shape ``size``.

        Raises
        ------
        TypeError
            Where a parameter is missing, unknown or given twice.
        ValueError
            Where the parameters do not broadcast to ``size``.

        Examples
        --------
        >>> from loopjax.random import RandomStream
        >>> print(RandomStream(1).bernoulli([0.0, 1.0]).eval())
        [0 1]
        """
        return self._draw("bernoulli", [p], size, dtype)

    @distribution_method()
    def binomial(self, n: TensorLike, p: TensorLike, size: Size = None, *, dtype: DTypeLike | None = None) -> Variable:
        """Draw the number of successes among ``n`` independent trials.

        Parameters
        ----------
        n : array_like of int
            Number of trials.
        p : array_like of float
            Probability of success of each.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``int64`` by default.

        Returns
        -------
        Variable
            Independent draws of shape ``size``.

        Raises
        ------
        TypeError
            Where a parameter is missing, unknown or given twice.
        ValueError
            Where the parameters do not broadcast to ``size``.

        Examples
        --------
        >>> from loopjax.random import RandomStream
        >>> print(RandomStream(1).binomial([3, 5], 1.0).eval())
        [3 5]
        """
        if _is_one(n):
            return self._draw("bernoulli", [p], size, dtype)
        return self._draw("binomial", [n, p], size, dtype)

    @distribution_method()
    def betabinom(
        self, n: TensorLike, a: TensorLike, b: TensorLike, size: Size = None, *, dtype: DTypeLike | None = None
    ) -> Variable:
        """Draw from the binomial distribution whose probability is beta distributed.

        Parameters
        ----------
        n : array_like of int
            Number of trials.
        a : array_like of float
            First shape of the beta distribution, positive.
        b : array_like of float
            Second shape, positive.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``int64`` by default.

        Returns
        -------
        Variable
            Independent draws of shape ``size``.

        Raises
        ------
        TypeError
            Where a parameter is missing, unknown or given twice.
        ValueError
            Where the parameters do not broadcast to ``size``.

        Examples
        --------
        >>> from loopjax.random import RandomStream
        >>> print(RandomStream(1).betabinom(6, 2.0, 3.0, size=3).type)
        int64(3,)
        """
        return self._draw("betabinom", [n, a, b], size, dtype)

    @distribution_method()
    def negative_binomial(
        self, n: TensorLike, p: TensorLike, size: Size = None, *, dtype: DTypeLike | None = None
    ) -> Variable:
        """Draw the number of failures before ``n`` successes.

        A Poisson variable whose rate is gamma distributed.

        Parameters
        ----------
        n : array_like of float
            Number of successes, positive; need not be whole.
        p : array_like of float
            Probability of success of each trial.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``int64`` by default.

        Returns
        -------
        Variable
            Independent draws of shape ``size``.

        Raises
        ------
        TypeError
            Where a parameter is missing, unknown or given twice.
        ValueError
            Where the parameters do not broadcast to ``size``.

        Examples
        --------
        >>> from loopjax.random import RandomStream
        >>> print(RandomStream(1).negative_binomial(3.5, 0.4, size=3).type)
        int64(3,)
        """
        return self._draw("negative_binomial", [n, p], size, dtype)

    nbinom = negative_binomial

    @distribution_method()
    def integers(
        self, low: TensorLike, high: TensorLike | None = None, size: Size = None, *, dtype: DTypeLike | None = None
    ) -> Variable:
        """Draw integers evenly from ``low`` to ``high``, or from 0 to ``low``.

        Parameters
        ----------
        low : array_like of int
            Lower end, included; the upper end where ``high`` is left out.
        high : array_like of int, optional
            Upper end, excluded.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``int64`` by default.

        Returns
        -------
        Variable
            Independent draws of shape ``size``.

        Raises
        ------
        TypeError
            Where a parameter is missing, unknown or given twice.
        ValueError
            Where the parameters do not broadcast to ``size``.

        Examples
        --------
        >>> from loopjax.random import RandomStream
        >>> print(RandomStream(1).integers(3, 4, size=2).eval())
        [3 3]
        >>> print(RandomStream(1).integers(6, size=(2, 5)).type)
        int64(2, 5)
        """
        low, high = (0, low) if high is None else (low, high)
        return self._draw("integers", [low, high], size, dtype)

    randint = integers

    @distribution_method()
    def geometric(self, p: TensorLike, size: Size = None, *, dtype: DTypeLike | None = None) -> Variable:
        """Draw the number of trials up to and with the first success.

        Parameters
        ----------
        p : array_like of float
            Probability of success of each trial, positive.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``int64`` by default.

        Returns
        -------
        Variable
            Independent draws of shape ``size``.

        Raises
        ------
        TypeError
            Where a parameter is missing, unknown or given twice.
        ValueError
            Where the parameters do not broadcast to ``size``.

        Examples
        --------
        >>> from loopjax.random import RandomStream
        >>> print(RandomStream(1).geometric([1.0, 1.0]).eval())
        [1 1]
        """
        return self._draw("geometric", [p], size, dtype)

    @distribution_method()
    def poisson(self, lam: TensorLike = 1.0, size: Size = None, *, dtype: DTypeLike | None = None) -> Variable:
        """Draw from the Poisson distribution.

        Parameters
        ----------
        lam : array_like of float, optional
            Mean, not negative.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``int64`` by default.

        Returns
        -------
        Variable
            Independent draws of shape ``size``.

        Raises
        ------
        TypeError
            Where a parameter is missing, unknown or given twice.
        ValueError
            Where the parameters do not broadcast to ``size``.

        Examples
        --------
        >>> from loopjax.random import RandomStream
        >>> print(RandomStream(1).poisson(0.0, size=2).eval())
        [0 0]
        """
        return self._draw("poisson", [lam], size, dtype)

    @distribution_method()
    def categorical(self, p: TensorLike, size: Size = None, *, dtype: DTypeLike | None = None) -> Variable:
        """Draw the number of a class, from 0 up.

        ``size`` has no axis for the classes.

        Parameters
        ----------
        p : array_like of float ``(..., classes)``
            Probabilities of the classes, which need not sum to 1.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``int64`` by default.

        Returns
        -------
        Variable
            Independent draws of shape ``size``.

        Raises
        ------
        TypeError
            Where a parameter is missing, unknown or given twice.
        ValueError
            Where the parameters do not broadcast to ``size``.

        Examples
        --------
        >>> from loopjax.random import RandomStream
        >>> print(RandomStream(1).categorical([[1.0, 0.0], [0.0, 1.0]]).eval())
        [0 1]
        """
        return self._draw("categorical", [p], size, dtype)

    @distribution_method()
    def zipf(self, a: TensorLike, size: Size = None, *, dtype: DTypeLike | None = None) -> Variable:
        """Draw whole numbers from 1 up, ``k`` with probability proportional to ``k ** -a``.

        Rejection in float64 (Devroye 1986, section X.6.1). Numbers above the largest of int64 are not drawn; -1 where
        ``a`` is not above 1.

        Parameters
        ----------
        a : array_like of float
            Exponent, above 1.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``int64`` by default.

        Returns
        -------
        Variable
            Independent draws of shape ``size``.

        Raises
        ------
        TypeError
            Where a parameter is missing, unknown or given twice.
        ValueError
            Where the parameters do not broadcast to ``size``.

        Examples
        --------
        >>> from loopjax.random import RandomStream
        >>> print(RandomStream(1).zipf(2.0, size=3).type)
        int64(3,)
        """
        return self._draw("zipf", [a], size, dtype)

    @distribution_method()
    def logseries(self, p: TensorLike, size: Size = None, *, dtype: DTypeLike | None = None) -> Variable:
        """Draw whole numbers from 1 up, ``k`` with probability proportional to ``p ** k / k``.

        Algorithm LK of Kemp (1981), in float64; -1 where ``p`` is not in ``[0, 1)``.

        Parameters
        ----------
        p : array_like of float
            Shape, at least 0 and below 1.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``int64`` by default.

        Returns
        -------
        Variable
            Independent draws of shape ``size``.

        Raises
        ------
        TypeError
            Where a parameter is missing, unknown or given twice.
        ValueError
            Where the parameters do not broadcast to ``size``.

        Examples
        --------
        >>> from loopjax.random import RandomStream
        >>> print(RandomStream(1).logseries(0.5, size=3).type)
        int64(3,)
        """
        return self._draw("logseries", [p], size, dtype)

    @distribution_method()
    def hypergeometric(
        self,
        ngood: TensorLike,
        nbad: TensorLike,
        nsample: TensorLike,
        size: Size = None,
        *,
        dtype: DTypeLike | None = None,
    ) -> Variable:
        """Draw the number of good elements among ``nsample`` taken without replacement.

        Rejection (Devroye 1987), in float64; -1 where a number is negative or ``nsample`` is more than there are.

        Parameters
        ----------
        ngood : array_like of int
            Number of good elements.
        nbad : array_like of int
            Number of bad elements.
        nsample : array_like of int
            Number of elements taken.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``int64`` by default.

        Returns
        -------
        Variable
            Independent draws of shape ``size``.

        Raises
        ------
        TypeError
            Where a parameter is missing, unknown or given twice.
        ValueError
            Where the parameters do not broadcast to ``size``.

        Examples
        --------
        >>> from loopjax.random import RandomStream
        >>> print(RandomStream(1).hypergeometric([5, 0], [0, 5], 3).eval())
        [3 0]
        """
        return self._draw("hypergeometric", [ngood, nbad, nsample], size, dtype)


def _is_one(value: TensorLike) -> bool:
    variable = as_variable(value)
    return isinstance(variable, Constant) and variable.ndim == 0 and variable.data == 1
