"""Methods of ``RandomStream`` that draw from continuous distributions.

Parameters are those of NumPy's ``Generator``, else those of SciPy. The samplers are in ``continuous.py``.
"""

from __future__ import annotations

from numpy.typing import DTypeLike

from loopjax.errors import about
from loopjax.ir.graph import Variable
from loopjax.random.distributions import POSITIVE, check_domain
from loopjax.random.keys import KeySource, Size, TensorLike, distribution_method
from loopjax.tensor.elementwise import reciprocal
from loopjax.trace.convert import as_variable


class ContinuousMethods(KeySource):
    """Continuous distributions of numbers."""

    @distribution_method()
    def uniform(
        self, low: TensorLike = 0.0, high: TensorLike = 1.0, size: Size = None, *, dtype: DTypeLike | None = None
    ) -> Variable:
        """Draw evenly from an interval.

        Differentiable in its parameters: a base sample that does not depend on them, transformed.

        Parameters
        ----------
        low : array_like of float, optional
            Lower end, included.
        high : array_like of float, optional
            Upper end, excluded.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> print(RandomStream(1).uniform(-1, 1, size=3).type)
        float32(3,)
        """
        return self._draw("uniform", [low, high], size, dtype)

    @distribution_method()
    def normal(
        self, loc: TensorLike = 0.0, scale: TensorLike = 1.0, size: Size = None, *, dtype: DTypeLike | None = None
    ) -> Variable:
        """Draw from the normal (Gaussian) distribution.

        Differentiable in its parameters: a base sample that does not depend on them, transformed.

        Parameters
        ----------
        loc : array_like of float, optional
            Mean.
        scale : array_like of float, optional
            Standard deviation.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> print(RandomStream(1).normal(0, [1, 2, 3], size=(4, 3)).type)
        float32(4, 3)
        >>> print(RandomStream(1).normal(2, 0, size=3).eval())
        [2. 2. 2.]
        """
        return self._draw("normal", [loc, scale], size, dtype)

    @distribution_method()
    def standard_normal(self, size: Size = None, *, dtype: DTypeLike | None = None) -> Variable:
        """Draw from the normal distribution of mean 0 and variance 1.

        Parameters
        ----------
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> print(RandomStream(1).standard_normal(size=3).type)
        float32(3,)
        """
        return self._draw("standard_normal", [], size, dtype)

    @distribution_method()
    def halfnormal(
        self, loc: TensorLike = 0.0, scale: TensorLike = 1.0, size: Size = None, *, dtype: DTypeLike | None = None
    ) -> Variable:
        """Draw ``loc + scale * abs(z)`` with ``z`` standard normal.

        Differentiable in its parameters: a base sample that does not depend on them, transformed.

        Parameters
        ----------
        loc : array_like of float, optional
            Lower end of the support.
        scale : array_like of float, optional
            Standard deviation of the normal distribution that is folded.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> print(RandomStream(1).halfnormal(size=3).type)
        float32(3,)
        """
        return self._draw("halfnormal", [loc, scale], size, dtype)

    @distribution_method()
    def lognormal(
        self, mean: TensorLike = 0.0, sigma: TensorLike = 1.0, size: Size = None, *, dtype: DTypeLike | None = None
    ) -> Variable:
        """Draw from the distribution whose logarithm is normal.

        Differentiable in its parameters: a base sample that does not depend on them, transformed.

        Parameters
        ----------
        mean : array_like of float, optional
            Mean of the logarithm.
        sigma : array_like of float, optional
            Standard deviation of the logarithm.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> print(RandomStream(1).lognormal(0, 0.5, size=3).type)
        float32(3,)
        """
        return self._draw("lognormal", [mean, sigma], size, dtype)

    @distribution_method()
    def exponential(self, scale: TensorLike = 1.0, size: Size = None, *, dtype: DTypeLike | None = None) -> Variable:
        """Draw from the exponential distribution.

        Differentiable in its parameters: a base sample that does not depend on them, transformed.

        Parameters
        ----------
        scale : array_like of float, optional
            Mean, the inverse of the rate.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> print(RandomStream(1).exponential(2.0, size=3).type)
        float32(3,)
        """
        return self._draw("exponential", [scale], size, dtype)

    @distribution_method()
    def standard_exponential(self, size: Size = None, *, dtype: DTypeLike | None = None) -> Variable:
        """Draw from the exponential distribution of mean 1.

        Parameters
        ----------
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> print(RandomStream(1).standard_exponential(size=3).type)
        float32(3,)
        """
        return self._draw("standard_exponential", [], size, dtype)

    @distribution_method()
    def truncexpon(
        self,
        b: TensorLike,
        loc: TensorLike = 0.0,
        scale: TensorLike = 1.0,
        size: Size = None,
        *,
        dtype: DTypeLike | None = None,
    ) -> Variable:
        """Draw from the exponential distribution truncated to ``[loc, loc + b * scale]``.

        Sampled by inversion, parameters as SciPy's ``truncexpon``. Differentiable in its parameters: a base sample that
        does not depend on them, transformed.

        Parameters
        ----------
        b : array_like of float
            Upper end of the support of the standard distribution, ``[0, b]``.
        loc : array_like of float, optional
            Location.
        scale : array_like of float, optional
            Scale, positive.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> print(RandomStream(1).truncexpon(2.0, size=3).type)
        float32(3,)
        """
        return self._draw("truncexpon", [b, loc, scale], size, dtype)

    @distribution_method(rate="scale")
    def gamma(
        self,
        shape: TensorLike,
        scale: TensorLike = 1.0,
        size: Size = None,
        *,
        rate: TensorLike | None = None,
        dtype: DTypeLike | None = None,
    ) -> Variable:
        """Draw from the gamma distribution.

        Differentiable in its parameters: implicit reparametrization of gamma draws (Figurnov, Mohamed and Mnih 2018).

        Parameters
        ----------
        shape : array_like of float
            Shape, positive.
        scale : array_like of float, optional
            Scale, positive.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        rate : array_like of float, optional
            The inverse of ``scale``, instead of it.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> stream = RandomStream(1)
        >>> print(stream.gamma(2.0, 0.5, size=3).type)
        float32(3,)
        >>> print(stream.gamma(2.0, rate=[1.0, 4.0]).type)
        float32(2,)
        """
        if rate is not None:
            with about("gamma: rate"):
                rate = as_variable(rate)
            check_domain("gamma: rate", rate, POSITIVE)
            scale = reciprocal(rate)
        return self._draw("gamma", [shape, scale], size, dtype)

    @distribution_method()
    def standard_gamma(self, shape: TensorLike, size: Size = None, *, dtype: DTypeLike | None = None) -> Variable:
        """Draw from the gamma distribution of scale 1.

        Differentiable in its parameters: implicit reparametrization of gamma draws (Figurnov, Mohamed and Mnih 2018).

        Parameters
        ----------
        shape : array_like of float
            Shape, positive.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> print(RandomStream(1).standard_gamma(2.0, size=3).type)
        float32(3,)
        """
        return self._draw("standard_gamma", [shape], size, dtype)

    @distribution_method()
    def invgamma(
        self, shape: TensorLike, scale: TensorLike = 1.0, size: Size = None, *, dtype: DTypeLike | None = None
    ) -> Variable:
        """Draw from the distribution whose inverse is gamma distributed.

        Differentiable in its parameters: implicit reparametrization of gamma draws (Figurnov, Mohamed and Mnih 2018).

        Parameters
        ----------
        shape : array_like of float
            Shape, positive.
        scale : array_like of float, optional
            Scale, positive.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> print(RandomStream(1).invgamma(3.0, size=3).type)
        float32(3,)
        """
        return self._draw("invgamma", [shape, scale], size, dtype)

    @distribution_method()
    def gengamma(
        self,
        alpha: TensorLike = 1.0,
        p: TensorLike = 1.0,
        lambd: TensorLike = 1.0,
        size: Size = None,
        *,
        dtype: DTypeLike | None = None,
    ) -> Variable:
        """Draw from the generalized gamma distribution (Stacy 1962).

        The draw is ``lambd * g ** (1 / p)`` with ``g`` gamma distributed of shape ``alpha / p``. Differentiable in its
        parameters: implicit reparametrization of gamma draws (Figurnov, Mohamed and Mnih 2018).

        Parameters
        ----------
        alpha : array_like of float, optional
            Shape, positive.
        p : array_like of float, optional
            Power, positive.
        lambd : array_like of float, optional
            Scale, positive.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> print(RandomStream(1).gengamma(3.0, 1.5, 2.0, size=3).type)
        float32(3,)
        """
        return self._draw("gengamma", [alpha, p, lambd], size, dtype)

    @distribution_method()
    def chisquare(self, df: TensorLike, size: Size = None, *, dtype: DTypeLike | None = None) -> Variable:
        """Draw from the chi-square distribution.

        Differentiable in its parameters: implicit reparametrization of gamma draws (Figurnov, Mohamed and Mnih 2018).

        Parameters
        ----------
        df : array_like of float
            Degrees of freedom, positive.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> print(RandomStream(1).chisquare(3.0, size=3).type)
        float32(3,)
        """
        return self._draw("chisquare", [df], size, dtype)

    @distribution_method()
    def noncentral_chisquare(
        self, df: TensorLike, nonc: TensorLike, size: Size = None, *, dtype: DTypeLike | None = None
    ) -> Variable:
        """Draw from the noncentral chi-square distribution.

        Sampled as a Poisson mixture of chi-squares (Johnson, Kotz and Balakrishnan 1995, chapter 29). No gradient flows
        to ``nonc``.

        Parameters
        ----------
        df : array_like of float
            Degrees of freedom, positive.
        nonc : array_like of float
            Noncentrality, not negative.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> print(RandomStream(1).noncentral_chisquare(3.0, 2.0, size=3).type)
        float32(3,)
        """
        return self._draw("noncentral_chisquare", [df, nonc], size, dtype)

    @distribution_method(alpha="a", beta="b")
    def beta(
        self,
        a: TensorLike | None = None,
        b: TensorLike | None = None,
        size: Size = None,
        *,
        alpha: TensorLike | None = None,
        beta: TensorLike | None = None,
        dtype: DTypeLike | None = None,
    ) -> Variable:
        """Draw from the beta distribution.

        Differentiable in its parameters: implicit reparametrization of gamma draws (Figurnov, Mohamed and Mnih 2018).

        Parameters
        ----------
        a : array_like of float
            First shape, positive.
        b : array_like of float
            Second shape, positive.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        alpha : array_like of float, optional
            Another name of ``a``.
        beta : array_like of float, optional
            Another name of ``b``.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> print(RandomStream(1).beta(0.5, 2.0, size=3).type)
        float32(3,)
        """
        a, b = a if alpha is None else alpha, b if beta is None else beta
        return self._draw("beta", [a, b], size, dtype)

    @distribution_method()
    def f(self, dfnum: TensorLike, dfden: TensorLike, size: Size = None, *, dtype: DTypeLike | None = None) -> Variable:
        """Draw from the F distribution.

        Differentiable in its parameters: implicit reparametrization of gamma draws (Figurnov, Mohamed and Mnih 2018).

        Parameters
        ----------
        dfnum : array_like of float
            Degrees of freedom of the numerator, positive.
        dfden : array_like of float
            Degrees of freedom of the denominator, positive.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> print(RandomStream(1).f(5.0, 8.0, size=3).type)
        float32(3,)
        """
        return self._draw("f", [dfnum, dfden], size, dtype)

    @distribution_method()
    def noncentral_f(
        self,
        dfnum: TensorLike,
        dfden: TensorLike,
        nonc: TensorLike,
        size: Size = None,
        *,
        dtype: DTypeLike | None = None,
    ) -> Variable:
        """Draw from the noncentral F distribution.

        Sampled as a ratio of a noncentral and a central chi-square (Johnson, Kotz and Balakrishnan 1995, chapter 30).
        No gradient flows to ``nonc``.

        Parameters
        ----------
        dfnum : array_like of float
            Degrees of freedom of the numerator, positive.
        dfden : array_like of float
            Degrees of freedom of the denominator, positive.
        nonc : array_like of float
            Noncentrality of the numerator, not negative.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> print(RandomStream(1).noncentral_f(5.0, 8.0, 2.0, size=3).type)
        float32(3,)
        """
        return self._draw("noncentral_f", [dfnum, dfden, nonc], size, dtype)

    @distribution_method()
    def t(
        self,
        df: TensorLike,
        loc: TensorLike = 0.0,
        scale: TensorLike = 1.0,
        size: Size = None,
        *,
        dtype: DTypeLike | None = None,
    ) -> Variable:
        """Draw from Student's t distribution.

        Differentiable in its parameters.

        Parameters
        ----------
        df : array_like of float
            Degrees of freedom, positive.
        loc : array_like of float, optional
            Location.
        scale : array_like of float, optional
            Scale, positive.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> print(RandomStream(1).t(4.0, size=3).type)
        float32(3,)
        """
        return self._draw("t", [df, loc, scale], size, dtype)

    @distribution_method()
    def standard_t(self, df: TensorLike, size: Size = None, *, dtype: DTypeLike | None = None) -> Variable:
        """Draw from Student's t distribution of location 0 and scale 1.

        Differentiable in its parameter.

        Parameters
        ----------
        df : array_like of float
            Degrees of freedom, positive.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> print(RandomStream(1).standard_t(4.0, size=3).type)
        float32(3,)
        """
        return self._draw("standard_t", [df], size, dtype)

    @distribution_method()
    def cauchy(
        self, loc: TensorLike = 0.0, scale: TensorLike = 1.0, size: Size = None, *, dtype: DTypeLike | None = None
    ) -> Variable:
        """Draw from the Cauchy distribution.

        Differentiable in its parameters: a base sample that does not depend on them, transformed.

        Parameters
        ----------
        loc : array_like of float, optional
            Median.
        scale : array_like of float, optional
            Half of the interquartile range.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> print(RandomStream(1).cauchy(size=3).type)
        float32(3,)
        """
        return self._draw("cauchy", [loc, scale], size, dtype)

    @distribution_method()
    def standard_cauchy(self, size: Size = None, *, dtype: DTypeLike | None = None) -> Variable:
        """Draw from the Cauchy distribution of location 0 and scale 1.

        Parameters
        ----------
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> print(RandomStream(1).standard_cauchy(size=3).type)
        float32(3,)
        """
        return self._draw("standard_cauchy", [], size, dtype)

    @distribution_method()
    def halfcauchy(
        self, loc: TensorLike = 0.0, scale: TensorLike = 1.0, size: Size = None, *, dtype: DTypeLike | None = None
    ) -> Variable:
        """Draw ``loc + scale * abs(z)`` with ``z`` standard Cauchy.

        Differentiable in its parameters: a base sample that does not depend on them, transformed.

        Parameters
        ----------
        loc : array_like of float, optional
            Lower end of the support.
        scale : array_like of float, optional
            Scale of the Cauchy distribution that is folded.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> print(RandomStream(1).halfcauchy(size=3).type)
        float32(3,)
        """
        return self._draw("halfcauchy", [loc, scale], size, dtype)

    @distribution_method()
    def laplace(
        self, loc: TensorLike = 0.0, scale: TensorLike = 1.0, size: Size = None, *, dtype: DTypeLike | None = None
    ) -> Variable:
        """Draw from the Laplace (double exponential) distribution.

        Differentiable in its parameters: a base sample that does not depend on them, transformed.

        Parameters
        ----------
        loc : array_like of float, optional
            Mean.
        scale : array_like of float, optional
            Scale, positive.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> print(RandomStream(1).laplace(size=3).type)
        float32(3,)
        """
        return self._draw("laplace", [loc, scale], size, dtype)

    @distribution_method()
    def logistic(
        self, loc: TensorLike = 0.0, scale: TensorLike = 1.0, size: Size = None, *, dtype: DTypeLike | None = None
    ) -> Variable:
        """Draw from the logistic distribution.

        Differentiable in its parameters: a base sample that does not depend on them, transformed.

        Parameters
        ----------
        loc : array_like of float, optional
            Mean.
        scale : array_like of float, optional
            Scale, positive.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> print(RandomStream(1).logistic(size=3).type)
        float32(3,)
        """
        return self._draw("logistic", [loc, scale], size, dtype)

    @distribution_method()
    def gumbel(
        self, loc: TensorLike = 0.0, scale: TensorLike = 1.0, size: Size = None, *, dtype: DTypeLike | None = None
    ) -> Variable:
        """Draw from the Gumbel distribution, the limit of largest values.

        Differentiable in its parameters: a base sample that does not depend on them, transformed.

        Parameters
        ----------
        loc : array_like of float, optional
            Mode.
        scale : array_like of float, optional
            Scale, positive.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> print(RandomStream(1).gumbel(size=3).type)
        float32(3,)
        """
        return self._draw("gumbel", [loc, scale], size, dtype)

    @distribution_method()
    def pareto(
        self, b: TensorLike, scale: TensorLike = 1.0, size: Size = None, *, dtype: DTypeLike | None = None
    ) -> Variable:
        """Draw from the Pareto distribution on ``[scale, inf)``.

        Parameters as SciPy's ``pareto``, not NumPy's. Differentiable in its parameters: a base sample that does not
        depend on them, transformed.

        Parameters
        ----------
        b : array_like of float
            Shape, positive.
        scale : array_like of float, optional
            Lower end of the support.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> print(RandomStream(1).pareto(3.0, size=3).type)
        float32(3,)
        """
        return self._draw("pareto", [b, scale], size, dtype)

    @distribution_method()
    def power(self, a: TensorLike, size: Size = None, *, dtype: DTypeLike | None = None) -> Variable:
        """Draw from the density ``a * x ** (a - 1)`` on ``[0, 1]``.

        Differentiable in its parameters: a base sample that does not depend on them, transformed.

        Parameters
        ----------
        a : array_like of float
            Shape, positive.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> print(RandomStream(1).power(3.0, size=3).type)
        float32(3,)
        """
        return self._draw("power", [a], size, dtype)

    @distribution_method()
    def rayleigh(self, scale: TensorLike = 1.0, size: Size = None, *, dtype: DTypeLike | None = None) -> Variable:
        """Draw from the Rayleigh distribution.

        Differentiable in its parameters: a base sample that does not depend on them, transformed.

        Parameters
        ----------
        scale : array_like of float, optional
            Scale, positive.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> print(RandomStream(1).rayleigh(2.0, size=3).type)
        float32(3,)
        """
        return self._draw("rayleigh", [scale], size, dtype)

    @distribution_method()
    def maxwell(
        self, loc: TensorLike = 0.0, scale: TensorLike = 1.0, size: Size = None, *, dtype: DTypeLike | None = None
    ) -> Variable:
        """Draw from the Maxwell distribution.

        Differentiable in its parameters: a base sample that does not depend on them, transformed.

        Parameters
        ----------
        loc : array_like of float, optional
            Location.
        scale : array_like of float, optional
            Scale, positive.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> print(RandomStream(1).maxwell(size=3).type)
        float32(3,)
        """
        return self._draw("maxwell", [loc, scale], size, dtype)

    @distribution_method(shape="a")
    def weibull(
        self,
        a: TensorLike | None = None,
        size: Size = None,
        *,
        shape: TensorLike | None = None,
        dtype: DTypeLike | None = None,
    ) -> Variable:
        """Draw from the Weibull distribution of scale 1.

        Differentiable in its parameters: a base sample that does not depend on them, transformed.

        Parameters
        ----------
        a : array_like of float
            Shape, positive.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        shape : array_like of float, optional
            Another name of ``a``.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> print(RandomStream(1).weibull(1.5, size=3).type)
        float32(3,)
        """
        return self._draw("weibull", [a if shape is None else shape], size, dtype)

    @distribution_method()
    def triangular(
        self,
        left: TensorLike,
        mode: TensorLike,
        right: TensorLike,
        size: Size = None,
        *,
        dtype: DTypeLike | None = None,
    ) -> Variable:
        """Draw from the triangular distribution.

        Parameters
        ----------
        left : array_like of float
            Lower end.
        mode : array_like of float
            Where the density is largest.
        right : array_like of float
            Upper end.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> print(RandomStream(1).triangular(-1.0, 0.0, 2.0, size=3).type)
        float32(3,)
        """
        return self._draw("triangular", [left, mode, right], size, dtype)

    @distribution_method()
    def wald(
        self, mean: TensorLike, scale: TensorLike = 1.0, size: Size = None, *, dtype: DTypeLike | None = None
    ) -> Variable:
        """Draw from the Wald (inverse Gaussian) distribution.

        Parameters
        ----------
        mean : array_like of float
            Mean, positive.
        scale : array_like of float, optional
            Scale, positive.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> print(RandomStream(1).wald(1.5, 2.5, size=3).type)
        float32(3,)
        """
        return self._draw("wald", [mean, scale], size, dtype)

    @distribution_method()
    def vonmises(
        self, mu: TensorLike, kappa: TensorLike, size: Size = None, *, dtype: DTypeLike | None = None
    ) -> Variable:
        """Draw an angle in ``[-pi, pi]`` from the von Mises distribution.

        Rejection from a wrapped Cauchy distribution (Best and Fisher 1979). Differentiable in ``mu`` only.

        Parameters
        ----------
        mu : array_like of float
            Mean direction, in radians.
        kappa : array_like of float
            Concentration, not negative; 0 is uniform on the circle.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> print(RandomStream(1).vonmises(0.0, 4.0, size=3).type)
        float32(3,)
        """
        return self._draw("vonmises", [mu, kappa], size, dtype)

    @distribution_method()
    def polyagamma(
        self, b: TensorLike, c: TensorLike, size: Size = None, *, dtype: DTypeLike | None = None
    ) -> Variable:
        """Draw from the Polya-gamma distribution (Polson, Scott and Windle 2013).

        A truncated sum of gamma variables: the distribution function is off by at most 3e-5 for ``abs(c) <= 10`` and
        6e-4 for any ``c`` where ``b`` is 1 to 100, and by 3e-3 where ``b`` is 0.05.

        Parameters
        ----------
        b : array_like of float
            Shape, positive.
        c : array_like of float
            Tilt.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``floatX`` by default.

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
        >>> print(RandomStream(1).polyagamma(1.0, 0.5, size=3).type)
        float32(3,)
        """
        return self._draw("polyagamma", [b, c], size, dtype)
