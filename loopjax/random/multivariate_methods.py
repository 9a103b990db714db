"""Methods of ``RandomStream`` that draw vectors, and elements of arrays; the samplers are in ``multivariate.py``."""

from __future__ import annotations

from numpy.typing import DTypeLike

from loopjax.errors import reported
from loopjax.ir.graph import Variable
from loopjax.random.keys import KeySource, Size, TensorLike, distribution_method
from loopjax.random.multivariate import choice, permutation


class MultivariateMethods(KeySource):
    """Distributions of vectors, and draws from arrays."""

    @distribution_method(pvals="p")
    def multinomial(
        self,
        n: TensorLike,
        p: TensorLike | None = None,
        size: Size = None,
        *,
        pvals: TensorLike | None = None,
        dtype: DTypeLike | None = None,
    ) -> Variable:
        """Draw how many of ``n`` independent trials end in each class.

        Parameters
        ----------
        n : array_like of int
            Number of trials.
        p : array_like of float ``(..., classes)``
            Probabilities of the classes, which sum to 1.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        pvals : array_like of float, optional
            Another name of ``p``.
        dtype : dtype, optional
            ``int64`` by default.

        Returns
        -------
        Variable
            Counts of shape ``(*size, classes)``.

        Raises
        ------
        TypeError
            Where a parameter is missing, unknown or given twice.
        ValueError
            Where the parameters do not broadcast to ``size``.

        Examples
        --------
        >>> from loopjax.random import RandomStream
        >>> print(RandomStream(1).multinomial([2, 3], [1.0, 0.0]).eval())
        [[2 0]
         [3 0]]
        """
        return self._draw("multinomial", [n, p if pvals is None else pvals], size, dtype)

    @distribution_method()
    def multivariate_hypergeometric(
        self, colors: TensorLike, nsample: TensorLike, size: Size = None, *, dtype: DTypeLike | None = None
    ) -> Variable:
        """Draw how many elements of each color are among ``nsample`` taken without replacement.

        Color by color, each count hypergeometric given the ones before it; -1 for some colors where a number is
        negative or ``nsample`` is more than there are.

        Parameters
        ----------
        colors : array_like of int ``(..., colors)``
            Number of elements of each color.
        nsample : array_like of int
            Number of elements taken.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``int64`` by default.

        Returns
        -------
        Variable
            Counts of shape ``(*size, colors)``.

        Raises
        ------
        TypeError
            Where a parameter is missing, unknown or given twice.
        ValueError
            Where the parameters do not broadcast to ``size``.

        Examples
        --------
        >>> from loopjax.random import RandomStream
        >>> print(RandomStream(1).multivariate_hypergeometric([2, 3], 5).eval())
        [2 3]
        """
        return self._draw("multivariate_hypergeometric", [colors, nsample], size, dtype)

    @distribution_method(alphas="alpha")
    def dirichlet(
        self,
        alpha: TensorLike | None = None,
        size: Size = None,
        *,
        alphas: TensorLike | None = None,
        dtype: DTypeLike | None = None,
    ) -> Variable:
        """Draw probability vectors from the Dirichlet distribution.

        Differentiable in its parameters: implicit reparametrization of gamma draws (Figurnov, Mohamed and Mnih 2018).

        Parameters
        ----------
        alpha : array_like of float ``(..., classes)``
            Concentrations, positive.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        alphas : array_like of float, optional
            Another name of ``alpha``.
        dtype : dtype, optional
            ``floatX`` by default.

        Returns
        -------
        Variable
            Vectors that sum to 1, of shape ``(*size, classes)``.

        Raises
        ------
        TypeError
            Where a parameter is missing, unknown or given twice.
        ValueError
            Where the parameters do not broadcast to ``size``.

        Examples
        --------
        >>> from loopjax.random import RandomStream
        >>> print(RandomStream(1).dirichlet([0.5, 2.0, 3.0], size=4).type)
        float32(4, 3)
        """
        return self._draw("dirichlet", [alpha if alphas is None else alphas], size, dtype)

    @distribution_method()
    def multivariate_normal(
        self, mean: TensorLike, cov: TensorLike, size: Size = None, *, dtype: DTypeLike | None = None
    ) -> Variable:
        """Draw vectors from the multivariate normal distribution.

        Differentiable in its parameters.

        Parameters
        ----------
        mean : array_like of float ``(..., n)``
            Mean.
        cov : array_like of float ``(..., n, n)``
            Covariance, positive semidefinite.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``floatX`` by default.

        Returns
        -------
        Variable
            Vectors of shape ``(*size, n)``.

        Raises
        ------
        TypeError
            Where a parameter is missing, unknown or given twice.
        ValueError
            Where the parameters do not broadcast to ``size``.

        Examples
        --------
        >>> from loopjax.random import RandomStream
        >>> print(RandomStream(1).multivariate_normal([0.0, 1.0], [[1.0, 0.5], [0.5, 1.0]], size=4).type)
        float32(4, 2)
        """
        return self._draw("multivariate_normal", [mean, cov], size, dtype)

    @reported
    def choice(self, a: TensorLike, size: Size = None, replace: bool = True, p: TensorLike | None = None) -> Variable:
        """Draw rows of an array, or integers below ``a``.

        Parameters
        ----------
        a : array_like or int scalar
            The array whose rows are drawn; ``n`` stands for the integers from 0 to ``n - 1``.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default one row.
        replace : bool
            True where the same row may be drawn again.
        p : array_like of float, optional
            Probability of each row; equal ones by default.

        Returns
        -------
        Variable
            Rows of shape ``(*size, *a.shape[1:])``, in the dtype of ``a``.

        Raises
        ------
        ValueError
            Where more rows are drawn than there are, with ``replace=False`` or from an empty array, or where ``p`` has
            another length.

        Examples
        --------
        >>> from loopjax.random import RandomStream
        >>> print(RandomStream(1).choice([3, 5, 7], 2, p=[0.0, 1.0, 0.0]).eval())
        [5 5]
        >>> sorted(RandomStream(1).choice(4, 4, replace=False).eval().tolist())
        [0, 1, 2, 3]
        """
        return choice(self._next_key(), a, size, replace, p)

    @reported
    def permutation(self, x: TensorLike) -> Variable:
        """Draw an order of the rows of an array, or of the integers below ``x``.

        Parameters
        ----------
        x : array_like or int scalar
            The array; ``n`` stands for the integers from 0 to ``n - 1``.

        Returns
        -------
        Variable
            The rows in another order.

        Raises
        ------
        TypeError
            Where a scalar is not an integer.

        Examples
        --------
        >>> from loopjax.random import RandomStream
        >>> sorted(RandomStream(1).permutation(4).eval().tolist())
        [0, 1, 2, 3]
        """
        return permutation(self._next_key(), x)
