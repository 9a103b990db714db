"""Special functions of the peers that ``jax.scipy.special`` has, or SciPy, which JAX brings along.

A function that only SciPy has runs on the host; its derivative in ``x`` is stated beside it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.special as jsp
import numpy as np

from loopjax.compat.rows import result
from loopjax.ir.graph import Variable
from loopjax.tensor.elementwise import pointwise

Run = Callable[..., Any]


def host(name: str, slope: Run) -> Run:
    """Return SciPy's function of this name as one of JAX; ``slope`` is its derivative in the last argument."""

    def evaluated(*arrays: Any) -> Any:
        functions = importlib.import_module("scipy.special")
        return np.asarray(getattr(functions, name)(*arrays), arrays[-1].dtype)

    @jax.custom_jvp
    def run(*arrays: Any) -> Any:
        shape = jnp.broadcast_shapes(*(array.shape for array in arrays))
        spread = [jnp.broadcast_to(array, shape) for array in arrays]
        return jax.pure_callback(evaluated, result(shape, arrays[-1].dtype), *spread, vmap_method="expand_dims")

    @run.defjvp
    def tangent(primals: Any, tangents: Any) -> Any:
        value = run(*primals)
        return value, jnp.broadcast_to(slope(*primals, value) * tangents[-1], value.shape)

    return run


_jv: Run = host("jv", lambda v, x, y: (_jv(v - 1, x) - _jv(v + 1, x)) / 2)
_iv: Run = host("iv", lambda v, x, y: (_iv(v - 1, x) + _iv(v + 1, x)) / 2)
_ive: Run = host("ive", lambda v, x, y: (_ive(v - 1, x) + _ive(v + 1, x)) / 2 - jnp.sign(x) * y)
_kv: Run = host("kv", lambda v, x, y: -(_kv(v - 1, x) + _kv(v + 1, x)) / 2)
_kve: Run = host("kve", lambda v, x, y: y - (_kve(v - 1, x) + _kve(v + 1, x)) / 2)
_gammaincinv: Run = host("gammaincinv", lambda a, p, x: jnp.exp(jsp.gammaln(a) + x - (a - 1) * jnp.log(x)))
_gammainccinv: Run = host("gammainccinv", lambda a, q, x: -jnp.exp(jsp.gammaln(a) + x - (a - 1) * jnp.log(x)))
_betaincinv: Run = host(
    "betaincinv",
    lambda a, b, p, x: jnp.exp(_betaln(a, b) - (a - 1) * jnp.log(x) - (b - 1) * jnp.log1p(-x)),
)


def _betaln(a: Any, b: Any) -> Any:
    """Return the logarithm of the beta function; JAX's own has an error of 1e-6 in float64."""
    return jsp.gammaln(a) + jsp.gammaln(b) - jsp.gammaln(a + b)


def _polygamma(n: Any, x: Any) -> Any:
    """Return the derivative of order ``n`` of digamma, by the zeta function (Abramowitz and Stegun 6.4.10)."""
    order = jnp.maximum(n, 1)
    sign = jnp.where(order % 2 == 1, 1, -1).astype(x.dtype)
    return jnp.where(n == 0, jsp.digamma(x), sign * jnp.exp(jsp.gammaln(order + 1)) * jsp.zeta(order + 1, x))


ROWS: dict[str, tuple[Run, tuple[str, ...]]] = {
    "erfcx": (jsp.erfcx, ("x",)),
    "erfcinv": (lambda x: -jsp.ndtri(x / 2) / np.sqrt(2).astype(x.dtype), ("x",)),
    "tri_gamma": (lambda x: jsp.zeta(2 * jnp.ones_like(x), x), ("x",)),
    "polygamma": (_polygamma, ("n", "x")),
    "owens_t": (jsp.owens_t, ("h", "a")),
    "gammal": (lambda k, x: jsp.gammainc(k, x) * jnp.exp(jsp.gammaln(k)), ("k", "x")),
    "gammau": (lambda k, x: jsp.gammaincc(k, x) * jnp.exp(jsp.gammaln(k)), ("k", "x")),
    "chi2sf": (lambda x, k: jsp.gammaincc(k / 2, x / 2), ("x", "k")),
    "hyp2f1": (jsp.hyp2f1, ("a", "b", "c", "z")),
    "poch": (jsp.poch, ("z", "m")),
    "factorial": (lambda n: jnp.exp(jsp.gammaln(n + 1)), ("n",)),
    "j0": (lambda x: _jv(jnp.zeros_like(x), x), ("x",)),
    "j1": (lambda x: _jv(jnp.ones_like(x), x), ("x",)),
    "i0": (jsp.i0, ("x",)),
    "i1": (jsp.i1, ("x",)),
    "jv": (_jv, ("v", "x")),
    "iv": (_iv, ("v", "x")),
    "ive": (_ive, ("v", "x")),
    "kn": (_kv, ("n", "x")),
    "kv": (_kv, ("v", "x")),
    "kve": (_kve, ("v", "x")),
    "gammaincinv": (_gammaincinv, ("k", "p")),
    "gammainccinv": (_gammainccinv, ("k", "p")),
    "betaincinv": (_betaincinv, ("a", "b", "p")),
    "xlogy": (jsp.xlogy, ("x", "y")),
    "xlogy0": (jsp.xlogy, ("x", "y")),
    "xlog1py": (jsp.xlog1py, ("x", "y")),
    "xlogx": (lambda x: jsp.xlogy(x, x), ("x",)),
    "beta": (lambda a, b: jnp.exp(_betaln(a, b)), ("a", "b")),
    "betaln": (_betaln, ("a", "b")),
}
"""Each function on arrays, with the names of its parameters; all inputs are brought to one float dtype."""


LOOPS = ("gammal", "gammau", "chi2sf")
"""The functions that JAX runs a loop for."""


def names() -> dict[str, Callable[..., Variable]]:
    """Return the functions by name."""
    return _FUNCTIONS


def _recorded() -> dict[str, Callable[..., Variable]]:
    made = {}
    for name, (run, parameters) in ROWS.items():
        made[name] = pointwise(
            f"compat_{name}",
            run,
            f"``{name}`` of SciPy",
            "at.exp(0.0) -> 1.0",
            "float",
            traits=["inner_loop"] if name in LOOPS else [],
            parameters=parameters,
        )
    return made


_FUNCTIONS = _recorded()
