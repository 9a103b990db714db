"""``dynamic_scan``: ``lax.scan`` up to a length that only the run knows, with a reverse mode of every order.

``lax.while_loop`` has no reverse mode, since nothing bounds what it would store. With a bound on the steps, residuals
of a step are rows of buffers, and the gradient is a loop of the same kind from the last step that ran down to the
first: neither of the two runs a step past the length. Residuals are those of ``jax.vjp`` of one step, which obeys
``jax.checkpoint``; those that are the same at every step are stored once, and those that are rows of the inputs are
read there.

Both loops of the rule are ``dynamic_scan`` again, so that reverse mode of any order works. The rule has no forward
mode: a loop that both modes may enclose is masked instead (``Loop.step``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import chain, compress
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero
from jax.extend.core import Literal, jaxpr_as_fun
from jax.tree_util import Partial

from loopjax.lower.loops.combinators import looped_until
from loopjax.lower.partition import Arrays, is_float, merge, partition
from loopjax.lower.placement import Placement, placed, placement, zeros


class Repeated(NamedTuple):
    """A step and how it is repeated.

    ``step`` takes constants, a carry and a row of the inputs to the next carry and rows; it closes over no array.
    ``stops`` tells of a carry that no step follows it. A loop that runs ``backwards`` begins with the last row.
    ``unroll`` is the number of steps in an iteration.
    """

    step: Callable[[Any, Any, Any], tuple[Any, Any]]
    stops: Callable[[Any], Any] | None = None
    backwards: bool = False
    unroll: int = 1


class Ran(NamedTuple):
    """The carry after the last step, stacks of the rows of as many steps as there can be, and how many ran."""

    carry: Any
    stacks: Any
    n_steps: Any


def dynamic_scan(loop: Repeated, constants: Any, carry: Any, inputs: Any, limit: Any) -> Ran:
    """Repeat a step ``limit`` times, with a rule for reverse mode; ``inputs`` have a row for each step there can be."""
    leaves, tree = jax.tree.flatten((constants, carry, inputs))
    flows = [is_float(leaf) for leaf in leaves]

    @jax.custom_vjp
    def run(moving: Arrays, held: Arrays, limit: Any) -> Ran:
        constants, carry, inputs = jax.tree.unflatten(tree, merge(moving, held, flows))
        return while_scan(loop, constants, carry, inputs, limit)

    def forward(moving: Any, held: Any, limit: Any) -> tuple[Ran, Any]:
        values = merge([one.value for one in moving], [one.value for one in held], flows)
        asked = merge([one.perturbed for one in moving], [False] * len(held), flows)
        constants, carry, inputs = jax.tree.unflatten(tree, values)
        rule = _Reverse(loop, (constants, carry, _row(inputs, 0)), jax.tree.unflatten(tree, asked))
        ran, stored = rule.forward(constants, carry, inputs, limit.value)
        return ran, Partial(rule.backward, stored)  # type: ignore[no-untyped-call]

    def backward(pull: Any, cotangents: Ran) -> tuple[Arrays, None, None]:
        return partition(pull(cotangents), flows)[0], None, None

    run.defvjp(forward, backward, symbolic_zeros=True)
    return run(*partition(leaves, flows), limit)


def while_scan(loop: Repeated, constants: Any, carry: Any, inputs: Any, limit: Any) -> Ran:
    """Repeat a step ``limit`` times by ``lax.while_loop``, which has the derivatives of forward mode."""
    limit = jnp.asarray(limit, "int32")
    size = jax.tree.leaves(inputs)[0].shape[0]
    _, rows = jax.eval_shape(loop.step, constants, carry, _row(inputs, 0))
    # Zeros, since readers of rows past the last step have a derivative of 0 times these.
    stacks = jax.tree.map(lambda row: zeros(row, size), rows)

    def step(state: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        t, carry, stacks = state
        at = limit - 1 - t if loop.backwards else t
        carry, rows = loop.step(constants, carry, _row(inputs, at))
        put = partial(lax.dynamic_update_index_in_dim, index=at, axis=0, allow_negative_indices=False)
        return t + 1, carry, jax.tree.map(put, stacks, rows)

    stops = loop.stops
    ends = None if stops is None else lambda state: stops(state[1])
    varying = placement(limit).varying if stops is None else placement(jax.eval_shape(stops, carry)).varying
    first = placed(jnp.zeros((), "int32"), Placement(varying))
    t, carry, stacks = looped_until(step, (first, carry, stacks), limit, loop.unroll, ends)
    return Ran(carry, stacks, t)


def _row(inputs: Any, at: Any) -> Any:
    """Return one row of every input."""
    take = partial(lax.dynamic_index_in_dim, index=at, keepdims=False, allow_negative_indices=False)
    return jax.tree.map(take, inputs)


class _Reverse:
    """The reverse mode of a step: its jaxpr with residuals, and where each residual is found.

    ``chosen`` are the inputs that cotangents are asked for, of the carry all floats; ``moves`` the results that have
    cotangents. A residual is ``fixed`` where no step changes it, or the row of an input that ``read`` numbers.
    """

    def __init__(self, loop: Repeated, parts: tuple[Any, Any, Any], asked: tuple[Any, Any, Any]) -> None:
        self.loop = loop
        first, self.tree = jax.tree.flatten(parts)
        floats = jax.tree.map(is_float, parts[1])
        self.chosen = [jax.tree.leaves(mask) for mask in (asked[0], floats, asked[2])]
        self.mask = [*chain(*self.chosen)]
        self.sums = [jax.typeof(x) for x in compress(first, self.chosen[0])]
        self.jaxpr = jax.make_jaxpr(self._with_residuals)(*first)
        variables, count = self.jaxpr.jaxpr.invars, len(self.chosen[0])
        rows = {variable: row for row, variable in enumerate(variables[count + len(self.chosen[1]) :])}
        changing = _changing(self.jaxpr.jaxpr, count)
        residuals = [None if isinstance(one, Literal) else one for one in self.jaxpr.jaxpr.outvars[len(self.moves) :]]
        constants = {variable: place for place, variable in enumerate(variables[:count])}
        self.constant = [constants.get(one) for one in residuals]
        # A step that has an effect must not run once more.
        runs_again = not self.jaxpr.effects
        self.fixed = [one in constants or (runs_again and one not in changing) for one in residuals]
        self.read = [rows.get(one) for one in residuals]

    def _with_residuals(self, *flat: Any) -> list[Any]:
        """Run a step; ``moves`` and the trees of its results and of its pullback are noted on the way."""
        moving, held = partition(flat, self.mask)

        def moved(moving: Arrays) -> tuple[Arrays, Arrays]:
            step = self.loop.step(*jax.tree.unflatten(self.tree, merge(moving, held, self.mask)))
            results, self.results = jax.tree.flatten(step)
            self.moves = [is_float(value) for value in results]
            return partition(results, self.moves)

        floats, pull, rest = jax.vjp(moved, moving, has_aux=True)
        residuals, self.pull = jax.tree.flatten(pull)
        return [*merge(floats, rest, self.moves), *residuals]

    def forward(self, constants: Any, carry: Any, inputs: Any, limit: Any) -> tuple[Ran, tuple[Any, ...]]:
        """Run the loop and store residuals."""
        stored = [not fixed and row is None for fixed, row in zip(self.fixed, self.read, strict=True)]
        run, count = jaxpr_as_fun(self.jaxpr), len(self.moves)

        def step(constants: Any, carry: Any, row: Any) -> tuple[Any, Any]:
            found = run(*jax.tree.leaves((constants, carry, row)))
            after, rows = jax.tree.unflatten(self.results, found[:count])
            return after, (rows, [*compress(found[count:], stored)])

        given = jax.tree.leaves(inputs)
        self.size = given[0].shape[0]
        first = [*jax.tree.leaves((constants, carry)), *(x[0] for x in given)]
        is_computed = any(one is None for one in compress(self.constant, self.fixed))
        once = run(*first)[count:] if is_computed else self.constant
        fixed = [value if place is None else first[place] for value, place in zip(once, self.constant, strict=True)]
        after, (stacks, kept), n_steps = dynamic_scan(self.loop._replace(step=step), constants, carry, inputs, limit)
        rows = [given[row] for row in self.read if row is not None]
        return Ran(after, stacks, n_steps), ([*compress(fixed, self.fixed)], rows, kept, n_steps)

    def backward(self, stored: tuple[Any, ...], cotangents: Ran) -> list[Any]:
        """Return the cotangents of what is asked for, of all others ``None``."""
        constant, rows, kept, n_steps = stored
        carried = len(self.chosen[1])
        leaves = jax.tree.leaves((cotangents.carry, cotangents.stacks), is_leaf=_is_zero)
        into = [zeros(x.aval) if _is_zero(x) else x for x in compress(leaves[:carried], self.moves)]
        stacks = [*compress(leaves[carried:], self.moves[carried:])]
        flows = [x for x in stacks if not _is_zero(x)]
        totals = [*map(zeros, self.sums)]

        def step(constant: Any, carry: Any, row: Any) -> tuple[Any, Any]:
            (into, totals), (_, rows, kept, flows) = carry, row
            sources = iter(constant), iter(rows), iter(kept)
            residuals = [
                next(sources[0] if fixed else sources[2] if row is None else sources[1])
                for fixed, row in zip(self.fixed, self.read, strict=True)
            ]
            given = iter(flows)
            of_rows = [zeros(x.aval)[0] if _is_zero(x) else next(given) for x in stacks]
            (found,) = jax.tree.unflatten(self.pull, residuals)((*into, *of_rows))
            back = [*found[len(totals) :]]
            added = [total + one for total, one in zip(totals, found, strict=False)]
            return (back[: len(into)], added), back[len(into) :]

        times = jnp.arange(self.size, dtype="int32")
        loop = Repeated(step, None, not self.loop.backwards, self.loop.unroll)
        ran = dynamic_scan(loop, constant, (into, totals), (times, rows, kept, flows), n_steps)
        found = iter([*ran.carry[1], *ran.carry[0], *ran.stacks])
        return [next(found) if is_chosen else None for is_chosen in self.mask]


def _is_zero(value: Any) -> bool:
    return isinstance(value, SymbolicZero)


def _changing(jaxpr: Any, n_constants: int) -> set[Any]:
    """Return the variables of a step that depend on more than its constants."""
    found = set(jaxpr.invars[n_constants:])
    for equation in jaxpr.eqns:
        if any(not isinstance(one, Literal) and one in found for one in equation.invars):
            found.update(equation.outvars)
    return found
