"""Legality of loops with a dynamic trip count: a ``while_loop``, or steps run speculatively past the end."""

from __future__ import annotations

from loopjax.ir.cond import IfElse
from loopjax.ir.graph import Apply
from loopjax.ir.jax_call import JaxCall
from loopjax.ir.scan import Scan
from loopjax.rewrite.target import Derivative, Target


def is_forward_only(op: Scan, derivative: Derivative) -> bool:
    """True where a loop of dynamic trip count needs no reverse-mode derivative, so that ``while_loop`` is legal.

    That of a loop that nothing bounds cannot be taken: it is run forward, whatever encloses it.
    """
    if derivative == "none":
        return True
    unbounded = op.dynamic and op.n_steps is None
    return (derivative == "forward" or unbounded) and op.truncate_gradient < 0


def may_speculate(op: Scan, target: Target) -> bool:
    """True where steps past the end may be computed and discarded, as they are elsewhere than on a CPU.

    Not where they would be noticed: by a progress bar, by the check of an index, or by a function of the user's, which
    might not even return.
    """
    return not (target.check_index or op.progress or op.body.holds(lambda node: isinstance(node.op, JaxCall)))


def holds_varying_loop(op: Scan) -> bool:
    """True where a step runs a loop of varying length, which ``vmap`` would run to the longest of all steps, or a
    conditional, since it would compute both branches."""
    return op.body.holds(is_varying)


def is_varying(node: Apply) -> bool:
    """True for a loop whose number of steps only the run decides, and for a conditional."""
    return isinstance(node.op, IfElse) or (isinstance(node.op, Scan) and node.op.varies and not node.op.linear)
