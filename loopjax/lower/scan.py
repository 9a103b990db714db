"""Lowering of a scan: the plan's kind picks one of the ways to run it.

Loops that are none stand here: no steps, one step, all steps at once. The others are in ``lower/loops``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from loopjax.errors import where
from loopjax.ir.fill import filled
from loopjax.ir.graph import Apply
from loopjax.ir.scan import SavedSteps, Scan
from loopjax.ir.symbolic_sizes import is_symbolic
from loopjax.lower.forward_only import forward_only
from loopjax.lower.interpreter import rule
from loopjax.lower.loops import associative, segments, stored_while, while_loop
from loopjax.lower.loops.combinators import entry, joined
from loopjax.lower.loops.flat_products import flat_products
from loopjax.lower.loops.step import Carry, Loop, Slices


@rule(Scan)
def _scan(node: Apply, op: Scan, args: Sequence[Any]) -> Sequence[Any]:
    assert op.plan is not None
    if op.truncate_gradient == 0:
        args = [lax.stop_gradient(arg) for arg in args]
    with jax.named_scope(op.label):
        outputs = KINDS[op.plan.kind](Loop(op, args))
    if op.plan.kind != "while":
        return outputs
    message = _no_reverse_mode(node, op)
    return [forward_only(output, message) for output in outputs]


def _no_reverse_mode(node: Apply, op: Scan) -> str:
    """The error where JAX takes a derivative in reverse mode of a loop that stores nothing for it."""
    if op.dynamic:
        why = (
            "which stores all steps, and how many there are depends on a value that JAX traces; expected a bound: "
            "write n_steps=100, or another number, and stop by until(step + 1 >= n); or pass the lengths as numbers, "
            "for example through static_argnums of jax.jit"
        )
    else:
        why = "for which it was not made; write to_jax(..., derivatives='reverse') or 'any'"
    return (
        f"{op.subject}{where(node.sources)}: JAX takes a derivative in reverse mode, {why}. Forward mode (jax.jvp, "
        "jax.jacfwd) needs no bound"
    )


def _empty(loop: Loop) -> list[Any]:
    rows = [(output.saved.last or 0) if loop.op.dynamic else 0 for output in loop.op.outputs]
    stacks = [filled((count, *type.sizes), type.dtype) for count, type in zip(rows, loop.types, strict=True)]
    length = [jnp.zeros((), int)] if loop.op.until else []
    return [*stacks, *loop.parts.states, *loop.accumulated(loop.carry(), 0), *length]


def _inline(loop: Loop) -> list[Any]:
    slices = loop.slices(1)
    carry, result = loop.step(loop.carry(), entry(slices, 0))
    return loop.outputs(carry, [value[None] for value in loop.kept(result)], 1)


def _map(loop: Loop) -> list[Any]:
    """Run all steps at once or in batches; where only some are read, only from the first to the last of them."""
    n_steps = loop.op.n_steps
    assert n_steps is not None
    if is_symbolic(n_steps):
        stacks = _mapped(loop, loop.slices(n_steps))
        firsts = [0 if output.saved.all else n_steps - (output.saved.rows(n_steps) or 0) for output in loop.op.outputs]
        return [stack[first:] if first else stack for stack, first in zip(stacks, firsts, strict=True)]
    saved = [_saved_steps(output.saved, n_steps) for output in loop.op.outputs]
    read = [steps for ranges in saved for steps in ranges if steps]
    if not read:
        return [jnp.zeros((0, *type.sizes), type.dtype) for type in loop.types]
    ran = read[0] if len(set(read)) == 1 else range(min(s[0] for s in read), max(s[-1] for s in read) + 1)
    stacks = _mapped(loop, jax.tree.map(lambda x: _rows(x, ran), loop.slices(n_steps)))
    return [
        joined(tuple(_rows(stack, _within(ran, steps)) for steps in ranges))
        for stack, ranges in zip(stacks, saved, strict=True)
    ]


def _mapped(loop: Loop, slices: Slices) -> Any:
    """The rows of some steps, all at once or in batches."""
    if loop.plan.derivative != "none" and loop.places is None:
        loop.calls = flat_products(loop.op)

    shared = loop.parts.non_sequences

    def step(slices: Slices, rows: dict[int, Any]) -> Any:
        parts = loop.parts._replace(non_sequences=tuple(rows.get(place, x) for place, x in enumerate(shared)))
        return loop.with_parts(parts).step(Carry(((),) * len(loop.op.outputs), (), ()), slices)[1].maps

    if loop.plan.kind == "vmap":
        rows = {place: _repeated(shared[place], len(slices.t)) for place in loop.plan.summed}
        return jax.vmap(step, axis_name=while_loop.STEPS)(slices, rows)
    return lax.map(lambda slices: step(slices, {}), slices, batch_size=loop.plan.batch)


def _repeated(x: Any, count: int) -> Any:
    """``count`` times the same array, as an outer product: the transpose, a sum, is a product too."""
    return lax.dot_general(jnp.ones(count, x.dtype), x, (((), ()), ((), ())))


def _saved_steps(saved: SavedSteps, n_steps: int) -> tuple[range, ...]:
    if saved.steps is not None:
        return saved.steps
    return (range(n_steps - (saved.rows(n_steps) or 0), n_steps),)


def _within(ran: range, steps: range) -> range:
    """The positions of some steps among those that ran."""
    first = ran.index(steps[0]) if steps else 0
    step = steps.step // ran.step
    return range(first, first + len(steps) * step, step)


def _rows(x: Any, rows: range) -> Any:
    return x[rows.start : rows.stop : rows.step]


KINDS: dict[str, Callable[[Loop], list[Any]]] = {
    "empty": _empty,
    "inline": _inline,
    "vmap": _map,
    "batched": _map,
    "associative": associative.run,
    "scan": segments.run,
    "counted": while_loop.run,
    "while": while_loop.run,
    "stored_while": stored_while.run,
}
"""The way to run each kind of plan."""
