"""``RandomStream``: draws whose keys are explicit state."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from loopjax.errors import here
from loopjax.ir.graph import Constant, Variable
from loopjax.ir.types import KEY, TensorType
from loopjax.random import continuous, discrete, multivariate  # noqa: F401 - they register the distributions
from loopjax.random.distributions import DISTRIBUTIONS, REQUIRED, advance, draw
from loopjax.trace.convert import as_variable
from loopjax.trace.recording import current_body
from loopjax.trace.shared import SharedVariable


class RandomStream:
    """A source of random variables: ``RandomStream(seed).normal(size=(3,))``.

    Each draw owns a JAX key in a shared variable, folded from ``seed`` and the draw's number. Outside of loops the key
    has a default update, so that each call of a function draws afresh. Inside a scan's fn it is a state
    of the loop, and the ``updates`` that scan returns carry it on. Without a seed, one is taken from the system.
    Same seed, same numbers, on every backend and device count.

    Floats are of dtype floatX, discrete draws int64, unless ``dtype`` says otherwise. Each distribution takes its
    parameters by position or name, and ``size``: an int, a sequence of ints and integer scalars, or by default the
    shape that the parameters broadcast to. Continuous draws are differentiable in their parameters where ``jax.random``
    makes them so: all that stretch and move standard draws, gamma and what is made of it; vonmises in ``mu`` alone.
    """

    def __init__(self, seed: int | None = None) -> None:
        self._seed = _checked_seed(seed)
        self._keys: list[SharedVariable] = []

    def seed(self, seed: int | None = None) -> None:
        """Starts every draw of the stream again from another seed."""
        self._seed = _checked_seed(seed)
        for number, key in enumerate(self._keys):
            key.set_value(self._key(number))

    @property
    def state_updates(self) -> list[tuple[SharedVariable, Variable]]:
        """Each key and its value after a call, for draws outside of loops."""
        return [(key, key.default_update) for key in self._keys if key.default_update is not None]

    def updates(self) -> list[tuple[SharedVariable, Variable]]:
        """The same as ``state_updates``."""
        return self.state_updates

    def gen(self, distribution: str, *args: Any, size: Any = None, dtype: Any = None, **kwargs: Any) -> Variable:
        """A draw of the named distribution; parameters by position or name, as in NumPy's ``Generator``."""
        if distribution not in DISTRIBUTIONS:
            names = ", ".join(sorted(DISTRIBUTIONS))
            raise ValueError(f"there is no distribution {distribution!r}; there are {names}{here()}")
        values, size = _bound(distribution, args, kwargs, size)
        if distribution == "binomial" and _is_one(values["n"]):
            distribution, values = "bernoulli", {"p": values["p"]}
        return draw(distribution, self._next_key(), values, size, dtype)

    def choice(self, a: Any, size: Any = None, replace: bool = True, p: Any = None) -> Variable:
        """Rows of the array ``a``, or of 0 to ``a - 1``: ``size`` of them, with or without ``replace``, and of
        probabilities ``p``, equal ones by default.

        Raises ``ValueError`` where more elements are wanted than there are.
        """
        return multivariate.choice(self._next_key(), a, size, replace, p)

    def permutation(self, x: Any) -> Variable:
        """The rows of the array ``x``, or 0 to ``x - 1``, in another order."""
        return multivariate.permutation(self._next_key(), x)

    def _next_key(self) -> SharedVariable:
        number = len(self._keys)
        key = SharedVariable(TensorType(KEY), self._key(number), name=f"stream {self._seed} key {number}")
        body = current_body()
        if body is None:
            key.default_update = advance(key)
        else:
            body.keys[key] = None
        self._keys.append(key)
        return key

    def _key(self, number: int) -> jax.Array:
        return jax.random.fold_in(jax.random.key(self._seed), number)

    def __getattr__(self, name: str) -> Callable[..., Variable]:
        if name not in DISTRIBUTIONS:
            raise AttributeError(
                f"RandomStream has no {name!r}; its distributions are {', '.join(sorted(DISTRIBUTIONS))}"
            )

        def method(*args: Any, size: Any = None, **kwargs: Any) -> Variable:
            return self.gen(name, *args, size=size, **kwargs)

        method.__name__ = name
        return method


def _checked_seed(seed: int | None) -> int:
    if seed is None:
        return secrets.randbits(31)
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
        raise ValueError(f"a seed is an int from 0 to 2**32 - 1, got {seed!r}{here()}")
    return int(seed)


def _bound(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], size: Any) -> tuple[dict[str, Any], Any]:
    """The parameters by name; one more positional argument than parameters is the size."""
    parameters, synonyms = DISTRIBUTIONS[name].parameters, DISTRIBUTIONS[name].synonyms
    for other in [given for given in kwargs if given in synonyms]:
        parameter, convert = synonyms[other]
        if parameter in kwargs:
            raise TypeError(f"{name} got {parameter!r} twice, once as {other!r}{here()}")
        kwargs[parameter] = convert(kwargs.pop(other))
    unknown = sorted(set(kwargs) - set(parameters))
    if unknown or len(args) > len(parameters) + 1:
        raise TypeError(f"{name} takes {list(parameters)} and size, got {unknown or args!r}{here()}")
    if len(args) > len(parameters):
        *args_, size = args
        args = tuple(args_)
    values = dict(zip(parameters, args, strict=False))
    twice = sorted(set(values) & set(kwargs))
    if twice:
        raise TypeError(f"{name} got {twice} by position and by name{here()}")
    values.update(kwargs)
    for parameter, default in parameters.items():
        if parameter not in values and (default is REQUIRED or default is int):
            if name in ("integers", "randint") and "low" in values and parameter == "high":
                values = {"low": 0, "high": values["low"]}
                continue
            raise TypeError(f"{name} needs {parameter!r}{here()}")
        values.setdefault(parameter, default)
    return values, size


def _is_one(value: Any) -> bool:
    variable = as_variable(value)
    return isinstance(variable, Constant) and variable.ndim == 0 and variable.data == 1
