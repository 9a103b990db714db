"""``explain``: reports how each loop of a function is lowered, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopjax.errors import reported
from loopjax.runtime.function import Function

if TYPE_CHECKING:
    from loopjax.report.report import Report


@reported
def explain(function: Function) -> Report:
    """Reports how each loop of a function is lowered and why, for the shapes that it was called with last.

    Parameters
    ----------
    function
        A function that was called at least once: plans depend on shapes.

    Returns
    -------
    Report
        Prints as text, shows as HTML in a notebook; ``loops`` has the values.

    Raises
    ------
    TypeError
        ``function`` is not what ``loopjax.function`` returns.

    Examples
    --------
    >>> import loopjax
    >>> import loopjax.tensor as at
    >>> x = at.dvector("x")
    >>> f = loopjax.function([x], loopjax.map(lambda row: row * 2, x)[0])
    >>> _ = f([1.0, 2.0])
    >>> loop = loopjax.explain(f).loops[0]
    >>> loop.n_steps, loop.plan.kind, loop.plan.reason
    (2, 'vmap', 'no step needs another')
    """
    if not isinstance(function, Function):
        raise TypeError(
            f"explain() takes what function() returns, got {type(function).__name__} {function!r:.80}; write "
            f"f = function(inputs, outputs), call f, then explain(f)"
        )
    from loopjax.report.loop_reports import report_of  # a part of the package's import time

    return report_of(function)
