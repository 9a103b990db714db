"""Parameters by the peers' names: ``sum(input=)``, ``linspace(end=, steps=)``.

A line of ``TABLE`` names functions and, after the colon, parameters of the peers: ``a=x`` is another name of ``x``,
``order?`` is accepted and changes nothing, ``endpoint!True`` is accepted with this value only.
"""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Callable
from typing import Any

from loopjax.errors import UnsupportedError, coded, here

TABLE = """
allclose isclose tensordot dense_dot: a=x b=y
argsort sort: a=x order? stable?
bincount: assert_nonneg?
concatenate: tensor_list=tensors
convolve: v=b
diag: v=x
diagonal flatnonzero isinf isnan isfinite iround moveaxis nonzero nonzero_values ptp round take: a=x
expand_dims full_like max_and_argmax repeat sgn sign swapaxes trace: a=x
atleast_Nd atleast_nd: arry=x
dot: l=x r=y
empty_like: prototype=x
flip: arr=x
inc_subtensor: x=part y=value inplace? tolerate_inplace_aliasing? set_instead_of_inc!False ignore_duplicates!False
set_subtensor: x=part y=value inplace? tolerate_inplace_aliasing?
linspace: end=stop steps=num endpoint!True retstep!False axis!0
matmul: x1=x x2=y dtype!None
matvec: x1=a x2=x dtype!None
vecmat: x1=x x2=a dtype!None
vecdot: x1=x x2=y dtype!None
ones_like zeros_like: model=x opt?
std var: input=x corrected=ddof
swapaxes: y=x
shape_padaxis shape_padleft shape_padright: t=x
stacklists: arg=values
tile: A=x
tri: N=n M=m
tril triu: m=x
where switch: cond=condition ift=x iff=y
softmax logsoftmax log_softmax: c=x
extract_constant get_scalar_constant_value: x=variable v=variable
standard_normal standard_cauchy: loc!0 scale!1
standard_exponential standard_t: scale!1 loc!0
standard_gamma: rate!1
pinv: hermitian?
trace: X=x
cho_solve solve solve_triangular: b_ndim? overwrite_a? overwrite_b? transposed!False
cholesky: overwrite_a?
eig: x=a
eigh: b!None lower? driver?
qr: A=a overwrite_a? lwork? pivoting!False
grad_undefined grad_not_implemented: x_pos=position x=variable
get_mode: orig_string=mode
"""


def _parsed() -> dict[str, dict[str, tuple[str, Any]]]:
    table: dict[str, dict[str, tuple[str, Any]]] = {}
    for line in TABLE.strip().splitlines():
        functions, _, parameters = line.partition(":")
        for function in functions.split():
            entry = table.setdefault(function, {})
            for parameter in parameters.split():
                for sign in "=!?":
                    name, found, rest = parameter.partition(sign)
                    if found:
                        entry[name] = sign, ast.literal_eval(rest) if sign == "!" else rest
                        break
    return table


PARAMETERS = _parsed()
"""The table: from functions to the meaning of parameters."""


def peer_parameters(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Return a function that takes the parameters of the table, too."""
    table = PARAMETERS.get(name)
    if table is None:
        return function
    known = inspect.signature(function).parameters
    table = {parameter: meaning for parameter, meaning in table.items() if parameter not in known}
    positional = [key for key, one in known.items() if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]

    @functools.wraps(function)
    def taking(*args: Any, **kwargs: Any) -> Any:
        for parameter in [key for key in kwargs if key in table]:
            value = kwargs.pop(parameter)
            sign, meaning = table[parameter]
            if sign == "=":
                kwargs[meaning] = value
            elif sign == "!" and value != meaning:
                raise coded(UnsupportedError, "LJ901")(
                    f"{name}() has {parameter}={meaning!r} only, not {value!r}{here()}"
                )
        first = positional[len(args) :]
        # Elementwise functions take their operands by position only.
        while first and first[0] in kwargs and known[first[0]].kind is inspect.Parameter.POSITIONAL_ONLY:
            args = (*args, kwargs.pop(first.pop(0)))
        return function(*args, **kwargs)

    more = [inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=None) for key in table]
    last = [one for one in known.values() if one.kind is one.VAR_KEYWORD]
    taking.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [*(one for one in known.values() if one.kind is not one.VAR_KEYWORD), *more, *last]
    )
    return taking
