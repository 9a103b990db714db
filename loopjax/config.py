"""Settings a user may change: in code (``config.floatX = "float64"``) or by the environment."""

from __future__ import annotations

import os
from typing import Any

import jax

_FLOATS = ("float16", "bfloat16", "float32", "float64")

LENGTHS = ("exact", "padded", "auto")
"""What may be done about lengths that differ from call to call."""


class Config:
    """The settings of LoopJAX.

    ``floatX`` is the dtype of ``vector()``, of creation and of integer-to-float results: float64
    where ``jax_enable_x64`` is set, else float32, unless set here or by ``LOOPJAX_FLOATX``.

    ``lengths`` is what ``function`` does about lengths that differ from call to call unless told: see there; also
    ``LOOPJAX_LENGTHS``.

    ``mode`` is the ``Mode`` of ``function`` unless told, or the name of one.

    ``cache`` is the folder in which is remembered what ``mode="tune"`` finds, the system's for caches unless set here
    or by ``LOOPJAX_CACHE``.

    ``verify`` checks every graph after every rewrite, for tests; also ``LOOPJAX_VERIFY=1``.

    ``poison`` fills what nobody has written with NaN (integers: the least), for tests, and in programs without
    gradients all rows past a length: none may reach a result or a gradient.
    """

    def __init__(self) -> None:
        self._floatX: str | None = None
        self.verify: bool = os.environ.get("LOOPJAX_VERIFY", "") not in ("", "0")
        self.poison = False
        self.cache: str | None = os.environ.get("LOOPJAX_CACHE") or None
        self._lengths = "auto"
        self.mode: Any = "FAST_RUN"
        self.lengths = os.environ.get("LOOPJAX_LENGTHS", "auto")
        chosen = os.environ.get("LOOPJAX_FLOATX")
        if chosen:
            self.floatX = chosen

    @property
    def floatX(self) -> str:  # noqa: N802 - the name that Theano programs use
        if self._floatX is not None:
            return self._floatX
        return "float64" if jax.config.jax_enable_x64 else "float32"  # type: ignore[attr-defined]

    @floatX.setter
    def floatX(self, dtype: str | None) -> None:  # noqa: N802
        if dtype is not None and dtype not in _FLOATS:
            raise ValueError(f"config.floatX is one of {_FLOATS} or None, not {dtype!r}")
        self._floatX = dtype

    @property
    def lengths(self) -> str:
        return self._lengths

    @lengths.setter
    def lengths(self, policy: str) -> None:
        if policy not in LENGTHS:
            raise ValueError(f"config.lengths is one of {LENGTHS}, not {policy!r}")
        self._lengths = policy


config = Config()
