"""``scan_checkpoints``: a scan that stores few of its states, for the output and for the gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loopjax.checkpoint.every import Every
from loopjax.errors import about, check_integer, reported
from loopjax.ir.scan import SavedSteps
from loopjax.trace.record_loop import loop_options, record_loop, single
from loopjax.trace.scan_arguments import LoopArgument, LoopArguments, StepCount, default_label
from loopjax.trace.updates import OrderedUpdates


@reported
def scan_checkpoints(
    fn: Callable[..., Any],
    sequences: LoopArgument = None,
    outputs_info: LoopArgument = None,
    non_sequences: LoopArgument = None,
    name: str | None = None,
    n_steps: StepCount = None,
    save_every_N: int = 10,  # noqa: N803 - the name that Theano programs use
    padding: bool = True,
) -> tuple[Any, OrderedUpdates]:
    """Run a scan that keeps every ``save_every_N``-th step and the last, for the output and for the gradient.

    The gradient recomputes the steps in between, once. Derivatives of every order and in both modes work. Taps,
    sequences of unequal lengths and any number of steps work too, also where ``save_every_N`` does not divide it.

    Parameters
    ----------
    fn : callable
        The step, as in ``scan``; without ``until``.
    sequences : array_like, Variable, dict, or list of them
        As in ``scan``.
    outputs_info : array_like, Variable, dict, None, or list of them
        As in ``scan``.
    non_sequences : array_like, Variable, or list of them
        As in ``scan``.
    name : str, optional
        The loop's name in errors and reports.
    n_steps : int or integer scalar Variable, optional
        The number of steps; the length of the shortest sequence by default.
    save_every_N : int, default 10
        The distance of the steps that are kept, at least 1.
    padding : bool, default True
        Accepted for old programs; changes nothing, as no length needs padding.

    Returns
    -------
    outputs : Variable, list of Variable, or None
        ``(ceil(n_steps / save_every_N), *step)`` for each output: row i is step ``(i + 1) * save_every_N``, the last
        row the last step.
    updates : dict from SharedVariable to Variable
        As of ``scan``.

    Raises
    ------
    ValueError
        ``save_every_N`` is no int of at least 1, or ``fn`` returns ``until``.
    TypeError, MissingInputError
        As of ``scan``.

    Examples
    --------
    >>> import loopjax
    >>> powers, _ = loopjax.scan_checkpoints(lambda p: 2 * p, outputs_info=1, n_steps=5, save_every_N=2)
    >>> powers.eval()
    array([ 4, 16, 32])
    """
    with about(f"scan {default_label(fn, name)!r}"):
        check_integer("save_every_N", save_every_N, 1)
    options = loop_options(fn, name, checkpoint=Every(save_every_N))
    asked = LoopArguments(fn, sequences, outputs_info, non_sequences, n_steps)
    outputs, updates = record_loop(asked, options, saved=SavedSteps(every=save_every_N))
    return single(outputs), updates
