"""The target of the passes: backend, options, the derivative around a program, and choices forced by tuning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeVar

from loopjax.ir.autodiff import Differentiated, Linearize

Derivative = Literal["none", "forward", "reverse", "any"]
"""The derivatives that JAX may take of a graph by all of its inputs: forward, reverse of any order, or both mixed."""


REWRITES = {
    "double_where": "functions that are not differentiable where a switch selects them away get other operands there",
    "branches": "of an ifelse only the branch that is taken is computed",
    "stabilize": "expressions that overflow, underflow or cancel become equal ones that do not",
    "masked_reductions": "reductions of what a mask selects reduce all, with their identity where the mask is false",
    "predicated_writes": "a choice between an array and what writes make of it becomes writes of a choice",
    "cse": "common-subexpression elimination",
    "producer_fusion": "elementwise producers of a reduction over steps are computed inside the loop",
    "reduction_fusion": "reductions over the steps of a loop become accumulators in its carry",
    "saved_steps": "only the last steps are stacked, where only those are read",
    "saved_windows": "only the steps that slices and strides read are stacked",
    "step_values": "integers that are known for all steps are folded, and slices next to one another are a sequence",
    "induction_variables": "a range that a loop reads becomes a counter in its carry",
    "scan_cse": "equal sequences and states of a loop become one",
    "licm": "loop-invariant code motion",
    "dce": "dead code elimination, in loops and differentiated regions too",
    "loop_fusion": "independent loops of equal length become one",
    "wavefront": "cells of a nest that depend on their left, upper and diagonal neighbours run by anti-diagonals",
    "vectorize_states": "many small states that are computed alike become one array",
    "slice_sinking": "where readers take a few elements of a state, a loop stacks only these",
    "contractions": "sums of outer products become matrix products",
    "pack_states": "many scalar states become one vector in the carry",
    "masked_products": "the larger operand of a product of padded operands is not masked where the result is finite",
    "logsumexp": "logsumexp over a matrix that is the same at every step becomes a matrix product",
    "fuse_products": "horizontal GEMM fusion: products that share an operand, and sums of products, become one",
    "tap_windows": "adjacent taps that a step joins are one array",
    "producer_sinking": "an output that a later loop reads one place of at a step is computed there",
    "loop_prologue": "loop distribution: work on sequences and random keys becomes one batched op before the loop",
    "predictive_commoning": "what a step computes last and the next one first is carried",
    "block_sampling": "random draws of several steps are made at once",
    "loop_epilogue": "loop distribution: work that no later step reads becomes one batched op after the loop",
    "expand_products": "products of tiny matrices become sums of elementwise products",
    "collapse_axes": "an elementwise loop over arrays of several axes runs over vectors, on a CPU",
    "tiling": "a loop over independent elements runs tile by tile",
    "searchsorted": "a sorted vector is searched without a loop, on a GPU",
    "selection": "the first, the last, or a few elements of a sort are found without a sort",
    "short_axes": "arrays with a short last axis are split into slices, for reductions and where slices are read",
    "halo": "rolls of one array are read from one padded copy",
    "value_ranges": "indices within bounds are not checked, and padding without rows is not masked",
    "weight_gradients": "the gradient of a matrix is one product after the backward loop",
    "vmap": "a loop without recurrence runs all steps at once",
    "linear_recurrence": "a linear recurrence runs as a parallel scan, on a GPU",
    "unroll": "several steps an iteration",
    "small_loops": "a loop of small arrays becomes one function of XLA, on a CPU",
    "cpu_forms": "roots, logarithms, sorts of positions, cumulative sums, small tables in forms that a CPU is fast at",
    "compiler_options": "XLA copies fewer states, and vectorizes loops over fewer elements, on a CPU",
    "remat": "cheap values are recomputed for the gradient instead of stored",
    "far_taps": "far taps under a derivative are read in blocks",
}
"""Optional rewrites by name, each with a summary. All other passes are required to run a program."""

BY_ITSELF = ("small_loops", "cpu_forms", "compiler_options")
"""Rewrites of a program that JAX does not batch, shard or export, after it has been lowered."""

NUMERICAL = frozenset({"branches", "double_where", "stabilize"})
"""Rewrites for the sake of results, not of time: modes leave them out by name only."""

NEEDS_SIZES = frozenset(REWRITES) - {"branches", "cse", "dce", "licm", "scan_cse", "vmap"}
"""Rewrites that weigh sizes or count with them: a program of symbolic sizes gets none of them."""

Value = bool | int
"""The value of a choice: yes or no, or a number."""

V = TypeVar("V", bound=Value)


class Made(NamedTuple):
    """A choice that a pass has made by size: for which loop, its value, and the alternatives."""

    subject: str
    value: Value
    others: tuple[Value, ...]


@dataclass(frozen=True)
class Target:
    """Backend and options that a sized program is compiled for.

    Attributes
    ----------
    backend
        The JAX backend, ``"cpu"`` or another.
    derivative
        The derivative that JAX may take of the whole program.
    check_index
        An index out of bounds raises.
    reassociate
        Sums and products over steps may be taken in another order.
    loop_kernels
        Elementwise loops are kernels, on a GPU.
    without
        Names of the rewrites that are left out.
    draws_apart
        A key draws the same whatever others draw beside it under ``vmap``, as JAX promises for threefry keys only.
    forced
        Values of choices by name and number, which hold whatever the sizes.
    made
        The choices of one run of the passes, by name and number; passes add them through ``choice``.
    """

    backend: str = "cpu"
    derivative: Derivative = "none"
    check_index: bool = False
    reassociate: bool = False
    without: frozenset[str] = frozenset()
    draws_apart: bool = True
    loop_kernels: bool = False
    forced: tuple[tuple[str, Value], ...] = ()
    made: dict[str, Made] = field(default_factory=dict, compare=False, repr=False)

    def __contains__(self, rewrite: str) -> bool:
        """Return whether a rewrite is not left out."""
        return rewrite not in self.without

    @property
    def on_cpu(self) -> bool:
        """True on a CPU. Elsewhere a step costs what it takes to launch its kernels, not what they compute."""
        return self.backend == "cpu"

    @property
    def by_itself(self) -> frozenset[str]:
        """The rewrites that ``lower/jit.py`` does where a program runs by itself on one device."""
        names = BY_ITSELF if self.on_cpu else ("loop_kernels",) * self.loop_kernels
        holds = self.derivative == "none" and not self.check_index
        return frozenset(names) - self.without if holds else frozenset()

    @property
    def outlines(self) -> bool:
        """True where a loop of small arrays becomes one function of XLA, however many bytes its iteration touches."""
        return "small_loops" in self.by_itself

    def choice(self, name: str, by_size: V, others: Sequence[V] | None = None, subject: str = "") -> V:
        """Make a choice: ``by_size`` unless one of the ``others``, by default yes or no, is forced.

        ``mode="tune"`` measures the others. Choices of one ``name`` are told apart by their numbers, as in "unroll 1";
        ``subject`` names the loop in ``explain``.
        """
        number = 1 + sum(key.rpartition(" ")[0] == name for key in self.made)
        key = f"{name} {number}"
        options: list[V] = [by_size, *((True, False) if others is None else others)]
        forced = dict(self.forced).get(key, by_size)
        value = next((option for option in options if option == forced), by_size)
        self.made[key] = Made(subject, value, tuple(dict.fromkeys(option for option in options if option != value)))
        return value


def within(op: Differentiated, derivative: Derivative) -> Derivative:
    """Return the derivative that encloses the region of an op which ``derivative`` encloses."""
    if isinstance(op, Linearize):
        return "reverse" if derivative in ("none", "reverse") else "any"
    return "forward" if derivative in ("none", "forward") else "any"
