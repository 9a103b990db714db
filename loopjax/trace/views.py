"""``map``, ``reduce``, ``foldl`` and ``foldr``: special cases of ``scan``, with Theano's names and signatures.

They record the same node as ``scan`` does. ``reduce``, ``foldl`` and ``foldr`` read only the last step of its outputs,
and demand analysis then stores no others (``rewrite/demand.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loopjax.errors import reported
from loopjax.trace.record_loop import loop_options, record_loop, single
from loopjax.trace.scan import Lengths, scan
from loopjax.trace.scan_arguments import LoopArgument, LoopArguments, StepCount
from loopjax.trace.updates import OrderedUpdates


@reported
def map(
    fn: Callable[..., Any],
    sequences: LoopArgument,
    non_sequences: LoopArgument = None,
    truncate_gradient: int = -1,
    go_backwards: bool = False,
    mode: Any = None,
    name: str | None = None,
    *,
    n_steps: StepCount = None,
    strict: bool = False,
    lengths: Lengths = None,
) -> tuple[Any, OrderedUpdates]:
    """Apply ``fn`` to each element of ``sequences``: a scan without states.

    It is compiled to one batched computation (``jax.vmap``) where ``fn`` allows it. Derivatives of every order and in
    both modes work.

    Parameters
    ----------
    fn : callable
        Called once, with a slice of each sequence and the ``non_sequences``; returns what a step of ``scan`` returns.
    sequences : array_like, Variable, dict, or list of them
        Arrays ``(length, ...)``, or dicts with taps as ``scan`` takes them.
    non_sequences : array_like, Variable, or list of them
        What ``fn`` receives unchanged at each step.
    truncate_gradient : int, default -1
        Where not negative, gradients flow through the last ``truncate_gradient`` steps only.
    go_backwards : bool, default False
        Read the sequences from their ends.
    mode : object, optional
        Accepted for old programs; changes nothing.
    name : str, optional
        The loop's name in errors and reports.
    n_steps : int or integer scalar Variable, optional
        The number of steps; the length of the shortest sequence by default.
    strict : bool, default False
        Refuse shared variables that ``fn`` uses and that are not among the ``non_sequences``.
    lengths : integer vector or Packed, optional
        The steps of each example of a minibatch, as in ``scan``.

    Returns
    -------
    outputs : Variable, list of Variable, or None
        ``(length, *step)`` for each output of ``fn``.
    updates : dict from SharedVariable to Variable
        As of ``scan``.

    Raises
    ------
    TypeError, ValueError, MissingInputError, UnsupportedError
        As of ``scan``.

    Examples
    --------
    >>> import loopjax
    >>> squares, _ = loopjax.map(lambda x: x**2, [1, 2, 3])
    >>> squares.eval()
    array([1, 4, 9])
    """
    return scan(
        fn,
        sequences,
        None,
        non_sequences,
        n_steps,
        truncate_gradient,
        go_backwards,
        name=name,
        strict=strict,
        lengths=lengths,
    )


@reported
def reduce(
    fn: Callable[..., Any],
    sequences: LoopArgument,
    outputs_info: LoopArgument,
    non_sequences: LoopArgument = None,
    go_backwards: bool = False,
    mode: Any = None,
    name: str | None = None,
    *,
    n_steps: StepCount = None,
    strict: bool = False,
    lengths: Lengths = None,
) -> tuple[Any, OrderedUpdates]:
    """Return the last value of each state of a scan; nothing is stacked.

    Derivatives of every order and in both modes work.

    Parameters
    ----------
    fn : callable
        Called once, with a slice of each sequence, the past value of each state and the ``non_sequences``; returns the
        next values.
    sequences : array_like, Variable, dict, or list of them
        Arrays ``(length, ...)``, or dicts with taps as ``scan`` takes them.
    outputs_info : array_like, Variable, dict, or list of them
        The value of each state before the first step.
    non_sequences : array_like, Variable, or list of them
        What ``fn`` receives unchanged at each step.
    go_backwards : bool, default False
        Read the sequences from their ends.
    mode : object, optional
        Accepted for old programs; changes nothing.
    name : str, optional
        The loop's name in errors and reports.
    n_steps : int or integer scalar Variable, optional
        The number of steps; the length of the shortest sequence by default.
    strict : bool, default False
        Refuse shared variables that ``fn`` uses and that are not among the ``non_sequences``.
    lengths : integer vector or Packed, optional
        The steps of each example of a minibatch, as in ``scan``. The result is each example's state after its own last
        step, the initial one where it has none.

    Returns
    -------
    outputs : Variable, list of Variable, or None
        ``(*state)`` for each state.
    updates : dict from SharedVariable to Variable
        As of ``scan``.

    Raises
    ------
    TypeError, ValueError, MissingInputError, UnsupportedError
        As of ``scan``.

    Examples
    --------
    >>> import loopjax
    >>> total, _ = loopjax.reduce(lambda x, s: s + x, [1, 2, 3], 0)
    >>> total.eval()
    array(6)
    """
    options = loop_options(fn, name, go_backwards=go_backwards)
    asked = LoopArguments(fn, sequences, outputs_info, non_sequences, n_steps, strict)
    outputs, updates = record_loop(asked, options, lengths, only_last=True)
    return single(outputs), updates


@reported
def foldl(
    fn: Callable[..., Any],
    sequences: LoopArgument,
    outputs_info: LoopArgument,
    non_sequences: LoopArgument = None,
    mode: Any = None,
    name: str | None = None,
    *,
    n_steps: StepCount = None,
    strict: bool = False,
    lengths: Lengths = None,
) -> tuple[Any, OrderedUpdates]:
    """Return the last value of each state of a scan from the first element to the last: ``reduce``.

    Derivatives of every order and in both modes work.

    Parameters
    ----------
    fn : callable
        Called once, with a slice of each sequence, the past value of each state and the ``non_sequences``; returns the
        next values.
    sequences : array_like, Variable, dict, or list of them
        Arrays ``(length, ...)``, or dicts with taps as ``scan`` takes them.
    outputs_info : array_like, Variable, dict, or list of them
        The value of each state before the first step.
    non_sequences : array_like, Variable, or list of them
        What ``fn`` receives unchanged at each step.
    mode : object, optional
        Accepted for old programs; changes nothing.
    name : str, optional
        The loop's name in errors and reports.
    n_steps : int or integer scalar Variable, optional
        The number of steps; the length of the shortest sequence by default.
    strict : bool, default False
        Refuse shared variables that ``fn`` uses and that are not among the ``non_sequences``.
    lengths : integer vector or Packed, optional
        The steps of each example of a minibatch, as in ``reduce``.

    Returns
    -------
    outputs : Variable, list of Variable, or None
        ``(*state)`` for each state.
    updates : dict from SharedVariable to Variable
        As of ``scan``.

    Raises
    ------
    TypeError, ValueError, MissingInputError, UnsupportedError
        As of ``scan``.

    Examples
    --------
    >>> import loopjax
    >>> number, _ = loopjax.foldl(lambda digit, n: 10 * n + digit, [1, 2, 3], 0)
    >>> number.eval()
    array(123)
    """
    return reduce(
        fn, sequences, outputs_info, non_sequences, False, name=name, n_steps=n_steps, strict=strict, lengths=lengths
    )


@reported
def foldr(
    fn: Callable[..., Any],
    sequences: LoopArgument,
    outputs_info: LoopArgument,
    non_sequences: LoopArgument = None,
    mode: Any = None,
    name: str | None = None,
    *,
    n_steps: StepCount = None,
    strict: bool = False,
    lengths: Lengths = None,
) -> tuple[Any, OrderedUpdates]:
    """Return the last value of each state of a scan from the last element to the first: ``reduce`` backwards.

    Derivatives of every order and in both modes work.

    Parameters
    ----------
    fn : callable
        Called once, with a slice of each sequence, the past value of each state and the ``non_sequences``; returns the
        next values.
    sequences : array_like, Variable, dict, or list of them
        Arrays ``(length, ...)``, or dicts with taps as ``scan`` takes them.
    outputs_info : array_like, Variable, dict, or list of them
        The value of each state before the first step.
    non_sequences : array_like, Variable, or list of them
        What ``fn`` receives unchanged at each step.
    mode : object, optional
        Accepted for old programs; changes nothing.
    name : str, optional
        The loop's name in errors and reports.
    n_steps : int or integer scalar Variable, optional
        The number of steps; the length of the shortest sequence by default.
    strict : bool, default False
        Refuse shared variables that ``fn`` uses and that are not among the ``non_sequences``.
    lengths : integer vector or Packed, optional
        The steps of each example of a minibatch, as in ``reduce``.

    Returns
    -------
    outputs : Variable, list of Variable, or None
        ``(*state)`` for each state.
    updates : dict from SharedVariable to Variable
        As of ``scan``.

    Raises
    ------
    TypeError, ValueError, MissingInputError, UnsupportedError
        As of ``scan``.

    Examples
    --------
    >>> import loopjax
    >>> number, _ = loopjax.foldr(lambda digit, n: 10 * n + digit, [1, 2, 3], 0)
    >>> number.eval()
    array(321)
    """
    return reduce(
        fn, sequences, outputs_info, non_sequences, True, name=name, n_steps=n_steps, strict=strict, lengths=lengths
    )
