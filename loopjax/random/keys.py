"""Keys of a random stream, and how its methods record draws.

Each draw owns a JAX key: the seed's key folded with the number of the draw in the stream. The key is a shared variable.
Outside of loops it has a default update, so that each call of a function draws afresh; inside the step of a scan it is
a state of the loop, folded with the number of the step.
"""

from __future__ import annotations

import functools
import inspect
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec

import jax
import numpy as np
from numpy.typing import ArrayLike

from loopjax.errors import coded, here, reported
from loopjax.ir.graph import Variable, recorded
from loopjax.ir.types import KEY, TensorType
from loopjax.random.distributions import advance, draw
from loopjax.trace.recording import current_body
from loopjax.trace.shared import SharedVariable

P = ParamSpec("P")

_numbering = threading.RLock()
"""Held while a draw gets its number in its stream: two threads may record with one stream."""

TensorLike = Variable | ArrayLike | Sequence[Variable | ArrayLike]
"""A variable, an array or number that becomes a constant, or a sequence of them that is stacked."""

Size = int | Variable | Sequence[int | Variable] | np.ndarray[Any, Any] | None
"""The shape of an array of draws; ``None`` for what the parameters broadcast to."""


class KeySource:
    """The seed of a stream and the keys of its draws."""

    def __init__(self, seed: int | None = None) -> None:
        self._seed = _checked_seed(seed)
        self._keys: list[SharedVariable] = []

    @reported
    def seed(self, seed: int | None = None) -> None:
        """Start every draw of the stream again from another seed.

        Parameters
        ----------
        seed : int, optional
            From 0 to ``2**32 - 1``; by default one from the system.

        Returns
        -------
        None
            The keys of the draws recorded so far change in place.

        Raises
        ------
        ValueError
            Where the seed is not such an integer.

        Examples
        --------
        >>> import loopjax
        >>> stream = loopjax.random.RandomStream(1)
        >>> f = loopjax.function([], stream.uniform())
        >>> first, second = float(f()), float(f())
        >>> stream.seed(1)
        >>> float(f()) == first
        True
        """
        with _numbering:
            self._seed = _checked_seed(seed)
            for number, key in enumerate(self._keys):
                key.set_value(self._key(number))

    @property
    def state_updates(self) -> list[tuple[SharedVariable, Variable]]:
        """Each key and its value after a call, for draws outside of loops."""
        return [(key, key.default_update) for key in self._keys if key.default_update is not None]

    def updates(self) -> list[tuple[SharedVariable, Variable]]:
        """The keys of the draws outside of loops, with their values after a call.

        Returns
        -------
        list of (SharedVariable, Variable)
            The same as the property ``state_updates``; functions apply these updates by default.

        Raises
        ------
        None.

        Examples
        --------
        >>> from loopjax.random import RandomStream
        >>> stream = RandomStream(1)
        >>> drawn = stream.normal()
        >>> len(stream.updates())
        1
        """
        return self.state_updates

    @reported
    def next_key(self) -> Variable:
        """Return a random key of the stream, for a function of ``wrap_jax``.

        It is another one at each call of a function, and at each step of a loop, as the keys of draws are.

        Returns
        -------
        Variable
            A scalar of dtype ``"key"``: a typed key of JAX while the program runs.

        Raises
        ------
        None.

        Examples
        --------
        >>> import jax
        >>> import loopjax
        >>> stream = loopjax.random.RandomStream(1)
        >>> rademacher = loopjax.wrap_jax(lambda key: jax.random.rademacher(key, (3,)))
        >>> f = loopjax.function([], rademacher(stream.next_key()))
        >>> sorted(set(abs(f()).tolist()))
        [1]
        """
        return self._next_key()

    def _draw(self, name: str, parameters: Sequence[Any], size: Size, dtype: Any) -> Variable:
        """Record a draw of the distribution ``name`` with a key of its own."""
        return draw(name, self._next_key(), parameters, size, dtype)

    def _next_key(self) -> SharedVariable:
        with _numbering:
            number = len(self._keys)
            key = recorded(SharedVariable)(TensorType(KEY), self._key(number), name=f"stream {self._seed} key {number}")
            self._keys.append(key)
        body = current_body()
        if body is None:
            key.default_update = advance(key)
        else:
            body.keys[key] = None
        return key

    def _key(self, number: int) -> jax.Array:
        with jax.ensure_compile_time_eval():  # a stream may be made, and drawn from, while JAX traces
            return jax.random.fold_in(jax.random.key(self._seed), number)


def _checked_seed(seed: int | None) -> int:
    if seed is None:
        return secrets.randbits(31)
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
        shown, remedy = repr(seed), ""
        if isinstance(seed, jax.Array):
            shown = f"a jax.Array {seed.dtype}{seed.shape}"
            remedy = ", or make a key an input: TensorType('key')('key')"
        raise coded(ValueError, "LJ601")(
            f"a seed is an int from 0 to 2**32 - 1, got {shown:.80}; write seed=42{remedy}{here()}"
        )
    return int(seed)


def distribution_method(**synonyms: str) -> Callable[[Callable[P, Variable]], Callable[P, Variable]]:
    """Decorator of a method that draws: arguments that do not fit its signature raise with the user's line.

    The parameters of the distribution stand before ``size``. ``synonyms`` are keywords that name one of them once
    more; the parameter that they stand for may then be left out.
    """

    def decorate(method: Callable[P, Variable]) -> Callable[P, Variable]:
        @functools.wraps(method)
        def checked(*args: P.args, **kwargs: P.kwargs) -> Variable:
            _check_arguments(method, synonyms, args[1:], kwargs)
            return method(*args, **kwargs)

        return reported(checked)

    return decorate


def _check_arguments(
    method: Callable[..., Any], synonyms: Mapping[str, str], args: tuple[object, ...], kwargs: Mapping[str, object]
) -> None:
    name, signature = method.__name__, _parameters(method)
    positional = [parameter for parameter in signature if parameter != "self"]
    positional = positional[: positional.index("size")]
    for synonym, parameter in synonyms.items():
        if synonym in kwargs and parameter in kwargs:
            raise coded(TypeError, "LJ603")(
                f"{name} got {parameter!r} twice, once as {synonym!r}; expected it once: pass one of the two"
            )
    unknown = sorted(set(kwargs) - set(signature))
    if unknown or len(args) > len(positional) + 1:
        raise coded(TypeError, "LJ603")(f"{name} takes {positional} and size, got {unknown or args!r}; pass those only")
    by_name = {synonyms.get(keyword, keyword) for keyword in kwargs}
    twice = sorted(by_name & set([*positional, "size"][: len(args)]))
    if twice:
        raise coded(TypeError, "LJ603")(f"{name} got {twice} by position and by name; expected each once: pass it once")
    for parameter in positional[len(args) :]:
        default = signature[parameter].default
        required = default is inspect.Parameter.empty or (default is None and parameter in synonyms.values())
        if required and parameter not in by_name:
            raise coded(TypeError, "LJ603")(f"{name} needs {parameter!r}, got {len(args)} values; pass {parameter}=...")


@functools.cache
def _parameters(method: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(method).parameters
