"""A JAX primitive for values that have a derivative in forward mode only: the identity, whose transpose raises."""

from __future__ import annotations

from typing import Any

from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from loopjax.errors import UnsupportedError
from loopjax.lower.partition import is_float

forward_only_p = Primitive("loopjax_forward_only")


def forward_only(x: Any, message: str) -> Any:
    """Return ``x``; reverse mode raises ``UnsupportedError`` with this message."""
    return forward_only_p.bind(x, message=message) if is_float(x) else x  # type: ignore[no-untyped-call]


def _refused(cotangent: Any, x: Any, *, message: str) -> Any:
    raise UnsupportedError(message)


forward_only_p.def_impl(lambda x, message: x)  # type: ignore[no-untyped-call]
forward_only_p.def_abstract_eval(lambda x, message: x)  # type: ignore[no-untyped-call]
ad.deflinear2(forward_only_p, _refused)  # type: ignore[no-untyped-call]
batching.defvectorized(forward_only_p)  # type: ignore[no-untyped-call]
mlir.register_lowering(forward_only_p, mlir.lower_fun(lambda x, message: x, multiple_results=False))
