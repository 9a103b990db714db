"""``pymc``: PyMC's samplers and compiled functions through LoopJAX."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytensor
from pytensor.compile.mode import Mode
from pytensor.graph.fg import FunctionGraph
from pytensor.tensor.random.type import RandomType

from loopjax.interop.to_jax import to_jax
from loopjax.pytensor.dispatch import jax_dispatch
from loopjax.pytensor.from_pytensor import REWRITTEN, from_pytensor
from loopjax.pytensor.linker import mode as loopjax_mode


@contextlib.contextmanager
def pymc(mode: Mode | None = None) -> Iterator[Mode]:
    """Run PyMC through LoopJAX within a ``with`` block.

    ``pm.sample(nuts_sampler="numpyro")`` takes the log density and its gradient from LoopJAX instead of PyTensor's JAX
    implementation. Functions that PyMC or PyTensor compile within the block, such as those of
    ``model.compile_logp``, ``model.compile_dlogp`` and ``pm.sample_prior_predictive``, are compiled by ``mode`` where
    they ask for no other. No file is patched: PyTensor's table of JAX conversions has another entry for graphs within
    the block, its default mode is another, and both are as before after it, also when the block raises.

    Parameters
    ----------
    mode : pytensor.compile.mode.Mode, optional
        The default mode within the block; ``loopjax.pytensor.mode()`` unless given.

    Returns
    -------
    context manager
        It gives the mode to ``as``.

    Raises
    ------
    ConversionError
        Within the block, where a model has a node that can be converted in no way.

    Examples
    --------
    >>> import pytensor
    >>> import pytensor.tensor as pt
    >>> import loopjax.pytensor
    >>> x = pt.dvector("x")
    >>> with loopjax.pytensor.pymc():
    ...     f = pytensor.function([x], x.sum())
    >>> f([1.0, 2.0])
    array(3.)
    """
    convert = jax_dispatch()
    before = convert.dispatch(FunctionGraph)
    chosen = loopjax_mode() if mode is None else mode
    convert.register(FunctionGraph, _converter(before))
    try:
        with pytensor.config.change_flags(mode=chosen):
            yield chosen
    finally:
        convert.register(FunctionGraph, before)


def _converter(before: Callable[..., Any]) -> Callable[..., Any]:
    """Return the conversion of graphs to JAX functions; those with generators are left to the one from before."""

    def convert(graph: FunctionGraph, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        if any(isinstance(variable.type, RandomType) for variable in (*graph.inputs, *graph.outputs)):
            found: Callable[..., Any] = before(graph, *args, **kwargs)
            return found
        converted = from_pytensor(graph.inputs, list(graph.outputs))
        return to_jax(
            converted.inputs,
            converted.outputs,
            name="model",
            on_unused_input="ignore",
            allow_input_downcast=True,
            mode=REWRITTEN,
        )

    return convert
