"""Values that have a derivative in forward mode only: the identity, whose tangents cannot be transposed."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from loopjax.errors import UnsupportedError
from loopjax.lower.partition import is_float

forward_only_p = Primitive("loopjax_forward_only")
"""The identity of a tangent, whose transpose raises."""

KEPT = 1024
"""Identities that are cached, so that JAX finds what it traced before."""


def forward_only(x: Any, message: str) -> Any:
    """Return ``x``; reverse mode raises ``UnsupportedError`` with this message."""
    return _identity(message)(x) if is_float(x) else x


@lru_cache(KEPT)
def _identity(message: str) -> Any:
    @jax.custom_jvp
    def identity(x: Any) -> Any:
        return x

    identity.defjvps(lambda tangent, *_: forward_only_p.bind(tangent, message=message))  # type: ignore[no-untyped-call]
    return identity


def _refused(cotangent: Any, x: Any, *, message: str) -> Any:
    raise UnsupportedError(message)


forward_only_p.def_impl(lambda x, message: x)  # type: ignore[no-untyped-call]
forward_only_p.def_abstract_eval(lambda x, message: x)  # type: ignore[no-untyped-call]
ad.deflinear2(forward_only_p, _refused)  # type: ignore[no-untyped-call]
batching.defvectorized(forward_only_p)  # type: ignore[no-untyped-call]
mlir.register_lowering(forward_only_p, mlir.lower_fun(lambda x, message: x, multiple_results=False))
