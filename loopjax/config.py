"""Settings that a user may change, in code (``config.floatX = "float64"``) or by environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextvars import ContextVar
from types import NoneType
from typing import TYPE_CHECKING, Any, NoReturn

import jax

from loopjax.errors import check_flag, coded, here, nearest

VERSION = "0.1.0"
"""The version of the package."""

_FLOATS = ("float16", "bfloat16", "float32", "float64")

LENGTHS = ("exact", "padded", "auto")
"""Policies for lengths that differ from call to call."""

RESULTS = ("auto", "jax", "numpy")
"""Kinds of arrays that calls return."""


class Conventions:
    """Conventions of a peer library, in force while its functions record; the libraries are in ``loopjax/compat``.

    ``classes`` has the classes that stand for those of variables.
    """

    floatX: str  # noqa: N815 - the name that Theano programs use
    classes: Mapping[type, type]


conventions: ContextVar[Conventions | None] = ContextVar("loopjax_conventions", default=None)
"""The conventions in force; ``None`` for LoopJAX's own."""


class Config:
    """The settings of LoopJAX; ``loopjax.config`` is the only instance.

    Attributes
    ----------
    floatX : str
        The dtype of ``vector()``, of created arrays and of integer-to-float results: float64 where ``jax_enable_x64``
        is set, else float32, unless set here or by ``LOOPJAX_FLOATX``. ``None`` follows JAX's flag again.
    lengths : {"exact", "padded", "auto"}
        The default of ``function(lengths=)``: what to do about lengths that differ from call to call. Also
        ``LOOPJAX_LENGTHS``.
    results : {"auto", "jax", "numpy"}
        The default of ``function(results=)``: the arrays that calls return. Also ``LOOPJAX_RESULTS``.
    mode : Mode or str
        The default ``Mode`` of ``function``, or its name.
    cache : str or None
        The folder of the results of ``mode="tune"``, by default in the system's folder for caches. Also
        ``LOOPJAX_CACHE``.
    verify : bool
        Check every graph after every rewrite, for tests. Also ``LOOPJAX_VERIFY=1``.
    poison : bool
        Fill memory that must not be read, and in programs without gradients rows past a length, with NaN (the least
        integer), for tests: none may reach a result.

    Examples
    --------
    >>> import loopjax
    >>> import loopjax.tensor as at
    >>> loopjax.config.floatX = "float64"
    >>> at.vector("x").dtype
    'float64'
    >>> loopjax.config.floatX = None
    """

    __slots__ = ("_floatX", "_lengths", "_results", "cache", "mode", "poison", "verify")

    def __init__(self) -> None:
        self._floatX: str | None = None
        self.verify: bool = os.environ.get("LOOPJAX_VERIFY", "") not in ("", "0")
        self.poison = False
        self.cache: str | None = os.environ.get("LOOPJAX_CACHE") or None
        self._lengths = "auto"
        self.mode: Any = "FAST_RUN"
        self.lengths = os.environ.get("LOOPJAX_LENGTHS", "auto")
        self.results = os.environ.get("LOOPJAX_RESULTS", "auto")
        chosen = os.environ.get("LOOPJAX_FLOATX")
        if chosen:
            self.floatX = chosen

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            known = sorted(one for one in dir(type(self)) if not one.startswith("_"))
            raise coded(AttributeError, "LJ207")(
                f"config has no setting {name!r}; its settings are {', '.join(known)}{nearest(name, known)}{here()}"
            )

    def __setattr__(self, name: str, value: object) -> None:
        if not hasattr(type(self), name):
            getattr(self, name)
        if name in ("verify", "poison"):
            check_flag(f"config.{name}", value)
        if name == "cache" and not isinstance(value, (str, NoneType)):
            raise coded(TypeError, "LJ901")(
                f"config.cache is the path of a folder or None, expected no {type(value).__name__} {value!r:.80}; "
                f"write None{here()}"
            )
        super().__setattr__(name, value)

    @property
    def floatX(self) -> str:  # noqa: N802 - the name that Theano programs use
        peer = conventions.get()
        if peer is not None:
            return peer.floatX
        if self._floatX is not None:
            return self._floatX
        return "float64" if jax.config.jax_enable_x64 else "float32"  # type: ignore[attr-defined]

    @floatX.setter
    def floatX(self, dtype: str | None) -> None:  # noqa: N802
        if dtype is not None and dtype not in _FLOATS:
            raise coded(ValueError, "LJ901")(f"config.floatX is one of {_FLOATS} or None, not {dtype!r}{here()}")
        self._floatX = dtype

    @property
    def lengths(self) -> str:
        return self._lengths

    @lengths.setter
    def lengths(self, policy: str) -> None:
        if policy not in LENGTHS:
            raise coded(ValueError, "LJ901")(f"config.lengths is one of {LENGTHS}, not {policy!r}{here()}")
        self._lengths = policy

    @property
    def results(self) -> str:
        return self._results

    @results.setter
    def results(self, kind: str) -> None:
        if kind not in RESULTS:
            raise coded(ValueError, "LJ901")(f"config.results is one of {RESULTS}, not {kind!r}{here()}")
        self._results = kind


config = Config()
