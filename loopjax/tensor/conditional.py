"""``ifelse``: a conditional, which computes the branch that is taken and no other."""

from __future__ import annotations

from typing import Any

import jax

from loopjax.errors import here
from loopjax.ir.cond import LAZY_SWITCH
from loopjax.ir.graph import Variable, copy_node
from loopjax.ir.public_ops import public_op
from loopjax.tensor.elementwise import cast, switch
from loopjax.trace.pytrees import is_pytree

__all__ = ["ifelse"]


@public_op
def ifelse(condition: Any, then_branch: Any, else_branch: Any, name: str | None = None) -> Any:
    """Record a conditional (``jax.lax.cond``): one of two values; the other one is not computed.

    What only one branch needs runs when it is taken, in loops too, and so does its derivative: the other branch has
    gradient 0. In a loop, what does not depend on the step is computed before it, unless it has a singularity. Cheap
    branches of elementwise ops, reductions and reads are both computed, since XLA fuses those with what is around them.
    ``switch`` chooses by element.

    Parameters
    ----------
    condition : Variable or array_like
        A scalar; any number but 0 is true.
    then_branch, else_branch : Variable, array_like, or pytree of them
        The values, broadcast to one shape and cast to one dtype. Lists and other pytrees have one structure.
    name : str, optional
        The name of the result.

    Returns
    -------
    Variable, or pytree of them
        The value of the branch, in the structure of both.

    Raises
    ------
    TypeError
        ``condition`` is no scalar, or the branches have not one structure.

    Examples
    --------
    >>> import loopjax
    >>> import loopjax.tensor as at
    >>> x = at.dmatrix("x")
    >>> f = loopjax.function([x], loopjax.ifelse(x.sum() > 0, at.linalg.inv(x), x))
    >>> f([[2.0, 0.0], [0.0, 4.0]])
    array([[0.5 , 0.  ],
           [0.  , 0.25]])
    """
    is_true = cast(condition, "bool")
    if is_true.ndim:
        raise TypeError(f"ifelse takes a scalar condition, got {is_true!r}; switch() chooses by element{here()}")
    containers = [isinstance(x, (list, tuple)) or is_pytree(x) for x in (then_branch, else_branch)]
    if not any(containers):
        return _chosen(is_true, then_branch, else_branch, name)
    if not all(containers) or jax.tree.structure(then_branch) != jax.tree.structure(else_branch):  # type: ignore[operator]
        raise TypeError(
            f"ifelse: the branches are {then_branch!r:.80} and {else_branch!r:.80}; expected one structure, give both "
            f"that{here()}"
        )
    values, tree = jax.tree.flatten(then_branch)
    others = jax.tree.leaves(else_branch)
    return jax.tree.unflatten(tree, [_chosen(is_true, *pair, name) for pair in zip(values, others, strict=True)])


def _chosen(is_true: Variable, value: Any, other: Any, name: str | None) -> Variable:
    node = switch(is_true, value, other).owner
    assert node is not None
    chosen = copy_node(node, node.inputs, LAZY_SWITCH).outputs[0]
    chosen.name = name
    return chosen
