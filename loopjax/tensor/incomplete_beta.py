"""The regularized incomplete beta function with its derivatives in all three parameters.

JAX has the derivative in ``x`` only. Those in ``a`` and ``b`` are integrals of the beta density times a logarithm. With
``t = x u^(1/a)`` the density's power of ``t`` vanishes, and tanh-sinh quadrature (Takahasi and Mori 1974) copes with
the logarithm that is left at 0. The tail with less mass is integrated, by ``I_x(a, b) = 1 - I_{1-x}(b, a)``.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

_STEPS = np.arange(-100, 101) * 0.036
_SHAPES = np.exp(np.pi * np.sinh(_STEPS))
NODES = _SHAPES / (1 + _SHAPES)
"""Nodes on (0, 1), dense at both ends."""
WEIGHTS = np.pi * np.cosh(_STEPS) * _SHAPES / (1 + _SHAPES) ** 2
"""The weights of the nodes, up to a factor."""


@jax.custom_jvp
def betainc(a: Any, b: Any, x: Any) -> Any:
    """``jax.scipy.special.betainc``, differentiable in all parameters."""
    return lax.betainc(a, b, x)


@betainc.defjvp
def _tangent(primals: tuple[Any, Any, Any], tangents: tuple[Any, Any, Any]) -> tuple[Any, Any]:
    a, b, x = primals
    value, rate = jax.jvp(lambda x: lax.betainc(a, b, x), (x,), (tangents[2],))
    by_a, by_b = _slopes(a, b, x)
    return value, rate + by_a * tangents[0] + by_b * tangents[1]


def _slopes(a: Any, b: Any, x: Any) -> tuple[Any, Any]:
    """Derivatives in ``a`` and ``b``."""
    is_low = x <= a / (a + b)
    power, other = jnp.where(is_low, a, b), jnp.where(is_low, b, a)
    end = jnp.where(is_low, x, 1 - x)
    by_power, by_other = _lower_slopes(power, other, jnp.clip(end, float(np.finfo("float32").tiny), 1))
    inside = (x > 0) & (x < 1)
    by_a = jnp.where(is_low, by_power, -by_other)
    by_b = jnp.where(is_low, by_other, -by_power)
    return jnp.where(inside, by_a, 0), jnp.where(inside, by_b, 0)


def _lower_slopes(a: Any, b: Any, x: Any) -> tuple[Any, Any]:
    """Derivatives of ``I_x(a, b)`` where ``x`` is in the lower tail."""
    log_u = jnp.asarray(np.log(NODES), x.dtype) / a[..., None]
    t = x[..., None] * jnp.exp(log_u)
    rest = jnp.log1p(-t)
    # The integral of the density itself is the function: that normalizes it.
    value = lax.betainc(a, b, x)
    share = jax.nn.softmax(jnp.asarray(np.log(WEIGHTS), x.dtype) + (b[..., None] - 1) * rest)
    density = value[..., None] * share
    common = lax.digamma(a + b)
    by_a = (density * (jnp.log(x)[..., None] + log_u)).sum(-1) - value * (lax.digamma(a) - common)
    by_b = (density * rest).sum(-1) - value * (lax.digamma(b) - common)
    return by_a, by_b
