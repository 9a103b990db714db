"""The last stage: from a planned graph to a jitted function."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property
from typing import Any

import jax
from jax.extend.core import find_top_trace, jaxpr_as_fun

from loopjax.ir.graph import Graph
from loopjax.ir.types import KEY, jax_dtype
from loopjax.lower import autodiff, cond, indexing, jax_call, scan, weight_gradients  # noqa: F401 - register rules
from loopjax.lower.anti_dependences import with_reads_first
from loopjax.lower.compiler_options import compiler_options
from loopjax.lower.cumulative import with_cumulative_loops
from loopjax.lower.elementary_functions import with_polynomials
from loopjax.lower.fits_32_bits import fits_32_bits
from loopjax.lower.index_checks import checked
from loopjax.lower.interpreter import evaluate
from loopjax.lower.loop_kernels import with_loop_kernels
from loopjax.lower.loops import checkpointed  # noqa: F401 - registers rules
from loopjax.lower.packed_sort import with_packed_sorts
from loopjax.lower.placement import is_on_one_device, mesh_of
from loopjax.lower.rsqrt import without_rsqrt
from loopjax.lower.shared_functions import with_shared_functions
from loopjax.lower.small_loops import outlined
from loopjax.lower.small_tables import with_selections

PASSES: dict[str, tuple[Callable[[Any], Any], ...]] = {
    "cpu_forms": (
        without_rsqrt,
        with_polynomials,
        with_shared_functions,
        with_selections,
        with_packed_sorts,
        with_cumulative_loops,
    ),
    "small_loops": (with_reads_first, outlined),
    "loop_kernels": (with_loop_kernels,),
}
"""Rewrites of a program of JAX, in order."""


def rewritten(run: Callable[..., Any], passes: Sequence[Callable[[Any], Any]]) -> Callable[..., Any]:
    """Return a function of arrays whose program of JAX is rewritten by ``passes`` when it is traced."""
    if not passes:
        return run

    def traced(*arrays: Any) -> list[Any]:
        program = jax.make_jaxpr(run)(*arrays)
        for one in passes:
            program = one(program)
        return jaxpr_as_fun(program)(*arrays)

    return traced


class Compiled:
    """A planned graph and its jitted function, which may overwrite the inputs at ``donated``.

    ``tuning`` says how it was chosen, where variants of it were measured. ``by_itself`` names the rewrites where it
    runs by itself on one device, and ``plain`` plans the graph again, for where XLA refuses them.
    """

    def __init__(
        self,
        graph: Graph,
        name: str,
        donate: Sequence[int],
        check_index: bool,
        by_itself: Collection[str],
        plain: Callable[[], Graph] | None = None,
    ) -> None:
        self.graph = graph
        self._plain = plain
        self.donated = frozenset(() if check_index else donate)
        self.tuning: tuple[str, ...] = ()

        def run(*arrays: Any) -> list[Any]:
            for variable, array in zip(graph.inputs, arrays, strict=True):
                if variable.dtype != KEY and (jax_dtype(variable.dtype), variable.type.shape) != (
                    array.dtype,
                    array.shape,
                ):
                    raise TypeError(f"{name}: compiled for {variable.type}, not for {array.dtype}{array.shape}")
            with mesh_of(arrays):
                return evaluate(self.graph, arrays)

        passes = [one for name, each in PASSES.items() if name in by_itself for one in each]
        program = rewritten(run, passes)
        run.__name__ = run.__qualname__ = program.__name__ = program.__qualname__ = name
        self.call: Any = checked(run) if check_index else jax.jit(run, donate_argnums=tuple(self.donated))
        options = compiler_options(graph) if "compiler_options" in by_itself else {}
        donated = tuple(self.donated)
        tried = [options] * bool(options) + [{}] * bool(passes)
        self._programs = [jax.jit(program, donate_argnums=donated, compiler_options=each or None) for each in tried]
        self._is_compiled = False

    def jitted(self, arrays: Sequence[Any]) -> Any:
        """The jitted function for arrays that are no tracers."""
        config: Any = jax.config
        debugs = config.jax_disable_jit or config.jax_debug_nans or config.jax_debug_infs  # JAX runs op by op then
        is_traced = find_top_trace(None) is not outermost_trace()  # type: ignore[no-untyped-call]
        is_alone = not (debugs or is_traced) and is_on_one_device(arrays)
        return next(iter(self._programs), self.call) if is_alone else self.call

    def compiled(self, arrays: Sequence[Any]) -> Any:
        """The jitted function for these arrays, once XLA has compiled it, or refused to.

        XLA refuses where a library would have to do what ``small_loops`` takes for XLA's own work, where a later
        version does not know a compiler option, and kernels of ``loop_kernels`` for a GPU that Mosaic does not know.
        """
        while (jitted := self.jitted(arrays)) is not self.call and not self._is_compiled:
            try:
                jitted.lower(*arrays).compile()
                self._is_compiled = True
            except jax.errors.JaxRuntimeError:  # other threads may be refused at the same time
                self._programs = [one for one in self._programs if one is not jitted]
                self.graph = self._plain() if self._plain and not self._programs else self.graph
        return jitted

    @property
    def settled(self) -> Any:
        """The jitted function that ran last on one device, or else ``call``."""
        return next(iter(self._programs), self.call) if self._is_compiled else self.call

    @cached_property
    def in_32_bits(self) -> bool:
        """True where the program computes the same in 32 bits, so that it may be traced with JAX's x64 off."""
        return fits_32_bits(self.graph)


@cache
def outermost_trace() -> Any:
    """JAX's trace outside of all transformations: that of a new thread. Another program may be batched or sharded."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(find_top_trace, None).result()
