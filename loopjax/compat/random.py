"""Random variables of the peers: streams whose draws record under the conventions, free functions with a ``rng``."""

from __future__ import annotations

import inspect
from typing import Any

import jax
import numpy as np

from loopjax.compat.library import Library
from loopjax.ir.graph import Variable, recorded
from loopjax.ir.types import KEY, TensorType
from loopjax.random import RandomStream
from loopjax.random.distributions import DISTRIBUTIONS, advance
from loopjax.random.size_first import MRG_RandomStreams, RandomStreams
from loopjax.trace.shared import SharedVariable


def is_generator(value: Any) -> bool:
    """Test for a generator of NumPy."""
    return isinstance(value, (np.random.Generator, np.random.RandomState))


def key_of(generator: Any, name: str | None = None) -> SharedVariable:
    """Return a shared variable with a key that is drawn from a NumPy generator."""
    draw = generator.integers if isinstance(generator, np.random.Generator) else generator.randint
    key = recorded(SharedVariable)(TensorType(KEY), jax.random.key(int(draw(2**31))), name)
    key.default_update = key  # it advances by explicit updates only
    return key


class _KeyStream(RandomStream):
    """A stream whose next draw takes a given key."""

    def __init__(self, key: Variable) -> None:
        super().__init__(0)
        self.key = key

    def _next_key(self) -> Any:
        return self.key


def draw_function(name: str) -> Any:
    """Return the free function of a distribution, which draws with a key of its own or that of ``rng``."""
    method = getattr(RandomStream, name)

    def draw(
        *args: Any, rng: Any = None, name: str | None = None, return_next_rng: bool = False, **options: Any
    ) -> Any:
        stream = RandomStream() if rng is None else _KeyStream(key_of(rng) if is_generator(rng) else rng)
        drawn = method(stream, *args, **{key: value for key, value in options.items() if value is not None})
        drawn.name = name
        if not return_next_rng:
            return drawn
        key = stream.key if isinstance(stream, _KeyStream) else stream.updates()[0][0]
        return advance(key), drawn

    draw.__name__, draw.__doc__ = name, method.__doc__
    draw.__signature__ = inspect.signature(method)  # type: ignore[attr-defined]
    return draw


ALIASES = {"randint": "integers", "negative_binomial": "nbinom", "gen_gamma": "gengamma", "random": "uniform"}


def functions() -> dict[str, Any]:
    """Return the free functions of all distributions by name."""
    names = [*sorted(DISTRIBUTIONS), "choice", "permutation"]
    found = {name: draw_function(name) for name in names if hasattr(RandomStream, name)}
    for alias, name in ALIASES.items():
        if name in found:
            found.setdefault(alias, found[name])
    return {**found, "shared_rng": shared_rng, "rng": rng}


def shared_rng(value: Any = None, name: str | None = None, **options: Any) -> SharedVariable:
    """Return a shared generator, from one of NumPy; ``next_rng, draw = rng.normal(...)`` draws with it."""
    return key_of(value if is_generator(value) else np.random.default_rng(value), name)


def rng(name: str | None = None) -> Variable:
    """Return an input that is a generator."""
    return recorded(Variable)(TensorType(KEY), name=name)


def generator_method(key: Any, name: str) -> Any:
    """Return a method of a generator variable, which gives the next generator and a draw; ``None`` for other names."""
    if name not in DISTRIBUTIONS and name not in ("choice", "permutation"):
        return None
    draw = draw_function(name)
    return lambda *args, **options: draw(*args, rng=key, return_next_rng=True, **options)


def streams(library: Library) -> dict[str, Any]:
    """Return the streams of a library, whose methods record under its conventions."""

    def of(kind: type) -> Any:
        return type(kind.__name__, (kind,), {**_methods(library, kind), "__module__": library.path})

    mrg, by_size, stream = of(MRG_RandomStreams), of(RandomStreams), of(RandomStream)
    return {
        "MRG_RandomStreams": mrg,
        "MRG_RandomStream": mrg,
        "RandomStreams": by_size,
        "RandomStream": stream,
    }


def _methods(library: Library, kind: type) -> dict[str, Any]:
    found = {}
    for name, member in library.methods_recording(kind).items():
        if name.startswith("_") or isinstance(member, property):
            continue
        found[name] = _named(member)
    return found


def _named(method: Any) -> Any:
    """Return a method that also takes ``name``, the label of the draw, and lists as ``size``."""
    import functools

    parameters = inspect.signature(method).parameters

    @functools.wraps(method)
    def draw(self: Any, *args: Any, name: str | None = None, **options: Any) -> Any:
        if "name" in parameters and name is not None:
            options["name"] = name
        drawn = method(self, *args, **options)
        if name is not None and isinstance(drawn, Variable):
            drawn.name = name
        return drawn

    return draw
