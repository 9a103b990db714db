"""``RandomStream``: draws whose keys are explicit state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from numpy.typing import DTypeLike

from loopjax.errors import coded, nearest, reported
from loopjax.ir.graph import Variable
from loopjax.random import continuous, discrete, multivariate  # noqa: F401 - they register the distributions
from loopjax.random.continuous_methods import ContinuousMethods
from loopjax.random.discrete_methods import DiscreteMethods
from loopjax.random.distributions import DISTRIBUTIONS
from loopjax.random.keys import Size
from loopjax.random.multivariate_methods import MultivariateMethods


class RandomStream(ContinuousMethods, DiscreteMethods, MultivariateMethods):
    """A source of random variables, with a method for each distribution.

    Each draw owns a JAX key in a shared variable. Outside of loops the key has a default update, so that each call of a
    function draws afresh. Inside a scan's step it is a state of the loop, and the ``updates`` that scan returns carry
    it on. The same seed gives the same numbers on every backend and device count.

    Each distribution takes its parameters by position or name, then ``size``. Floats are of dtype ``floatX``, integers
    int64, unless ``dtype`` says otherwise. Continuous draws are differentiable in their parameters where their
    docstrings say so.

    Parameters
    ----------
    seed : int, optional
        From 0 to ``2**32 - 1``; by default one from the system.

    Examples
    --------
    >>> import loopjax
    >>> from loopjax.random import RandomStream
    >>> stream = RandomStream(1)
    >>> print(stream.normal(size=(2, 3)).type)
    float32(2, 3)
    >>> f = loopjax.function([], stream.uniform())
    >>> float(f()) == float(f())
    False
    """

    @reported
    def gen(
        self, distribution: str, *args: Any, size: Size = None, dtype: DTypeLike | None = None, **kwargs: Any
    ) -> Variable:
        """Draw from the distribution of this name.

        Parameters
        ----------
        distribution : str
            The name of a method that draws from a distribution.
        *args : array_like
            Its parameters.
        size : int or sequence, optional
            Shape of the draws, of ints and integer scalars; by default what the parameters broadcast to.
        dtype : dtype, optional
            ``floatX`` by default, int64 for distributions of integers.
        **kwargs : array_like
            Its parameters by name.

        Returns
        -------
        Variable
            Independent draws.

        Raises
        ------
        ValueError
            Where no distribution has this name; else as the method raises.

        Examples
        --------
        >>> from loopjax.random import RandomStream
        >>> print(RandomStream(1).gen("normal", 0.0, scale=2.0, size=3).type)
        float32(3,)
        """
        if distribution not in DISTRIBUTIONS:
            names = ", ".join(sorted(DISTRIBUTIONS))
            near = nearest(str(distribution), DISTRIBUTIONS)
            raise coded(ValueError, "LJ207")(f"there is no distribution {distribution!r}; there are {names}{near}")
        options = {"dtype": dtype} if size is None else {"dtype": dtype, "size": size}
        drawn: Variable = getattr(self, distribution)(*args, **options, **kwargs)
        return drawn

    if not TYPE_CHECKING:  # to a type checker it would say that every name exists

        def __getattr__(self, name: str) -> NoReturn:
            names = ", ".join(sorted(DISTRIBUTIONS))
            near = nearest(name, DISTRIBUTIONS)
            raise coded(AttributeError, "LJ207")(f"RandomStream has no {name!r}; its distributions are {names}{near}")
