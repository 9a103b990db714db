"""``scan``: the loop of Theano programs. ``trace/record_loop.py`` records it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from loopjax.errors import about, check_flag, check_integer, coded, here, reported, user_source
from loopjax.ir.graph import Variable
from loopjax.ir.schedule import Policy, Schedule, read_checkpoint
from loopjax.trace.packed import Packed
from loopjax.trace.record_loop import loop_options, record_loop, single
from loopjax.trace.scan_arguments import LoopArgument, LoopArguments, StepCount, default_label

Lengths = Variable | np.ndarray[Any, Any] | Sequence[int] | Packed | None
"""The steps of each example of a minibatch, or ``None`` where all run as many."""


@reported
def scan(
    fn: Callable[..., Any],
    sequences: LoopArgument = None,
    outputs_info: LoopArgument = None,
    non_sequences: LoopArgument = None,
    n_steps: StepCount = None,
    truncate_gradient: int = -1,
    go_backwards: bool = False,
    mode: Any = None,
    name: str | None = None,
    profile: Any = False,
    allow_gc: Any = None,
    strict: bool = False,
    return_list: bool = False,
    *,
    return_updates: bool = True,
    unroll: int | None = None,
    checkpoint: int | str | Schedule | Policy | None = None,
    progress: bool | str = False,
    lengths: Lengths = None,
) -> Any:
    """Run ``fn`` once a step and stack what it returns.

    Derivatives of every order and in both modes work, with respect to whatever ``fn`` uses.

    Parameters
    ----------
    fn : callable
        The step. Called once, with variables: the slices of each sequence in the order of its taps, the past values of
        each state in the order of ``outputs_info`` and its taps, then the ``non_sequences``. Returns outputs, updates
        of shared variables (a dict or pairs), ``until(condition)``, in that order, each where there is one.
    sequences : array_like, Variable, dict, or list of them
        Arrays ``(length, ...)`` that are read along their first axis, or dicts ``{"input":, "taps":}``. With taps the
        first step reads ``x[k - min(taps, 0)]`` for tap ``k``, so that every tap is inside. The shortest sequence
        decides the number of steps. An entry, here and in the next two, may be a pytree (a dict with other keys, a
        named tuple, a registered class), which ``fn`` receives and returns as such.
    outputs_info : array_like, Variable, dict, None, or list of them
        For each output ``None`` (no later step reads it), the value before the first step, shape ``(*state)``, or
        ``{"initial":, "taps":}``: ``initial`` then has the shape ``(rows, *state)`` with at least ``-min(taps)`` rows,
        row 0 the oldest, unless the only tap is -1. A Python number takes the dtype that ``fn`` returns.
    non_sequences : array_like, Variable, or list of them
        What ``fn`` receives unchanged at each step. Other variables that it uses are found by themselves.
    n_steps : int or integer scalar Variable, optional
        The number of steps; with ``until`` the most there can be. The length of the shortest sequence by default; of a
        loop without sequences that ``until`` ends, 1,048,576.
    truncate_gradient : int, default -1
        Where not negative, gradients flow through the last ``truncate_gradient`` steps only.
    go_backwards : bool, default False
        Read sequences from their ends. Outputs are in the order in which they were computed.
    mode : object, optional
        Accepted for old programs; changes nothing, as XLA compiles all loops.
    name : str, optional
        The loop's name in errors and reports; that of ``fn`` by default.
    profile, allow_gc : object, optional
        Accepted for old programs; they change nothing, as XLA owns the buffers.
    strict : bool, default False
        Refuse shared variables that ``fn`` uses and that are not among the ``non_sequences``.
    return_list : bool, default False
        Return a list of outputs also where there is one.
    return_updates : bool, default True
        ``False`` returns only the outputs, and raises where there are updates.
    unroll : int, optional
        Steps in one iteration of the compiled loop; chosen for the body by default.
    checkpoint : int, str, Schedule or callable, optional
        What is stored for the gradient of a loop whose length is known before the call; the rest is recomputed. A state
        is all that a step passes to the next. An int N or ``Every(N)``: the state every N steps. ``"sqrt"``: at most
        ``2 ceil(sqrt(n_steps)) + 3`` states at one time, each step recomputed at most twice. ``"log"``: at most
        ``4 log2(n_steps)`` states. ``Budget(states=)`` or ``Budget(bytes=)``: at most that much, with the least
        recomputation. A policy of ``jax.checkpoint``: every state, and of each step's values what it says. ``Every``
        and ``Budget`` are in ``loopjax.checkpoint``. Gradients of every order are the same with each, draws too.

        By default each step stores the state and its products, and recomputes what is elementwise; steps with inner
        loops, sorts or draws, and those of small states, store what they compute. Where only the run knows the length
        (``until``, or an inner loop whose length varies) and only last steps or sums are read, the gradient stores few
        states by itself, and ``checkpoint`` changes nothing.
    progress : bool or str, default False
        ``True`` or a label: a progress bar while the loop runs, under ``jit``, ``vmap`` and gradients too. Needs the
        extra ``loopjax[progress]``.
    lengths : integer vector or Packed, optional
        The steps of each example of a minibatch, ``(batch,)``, 0 or more; with ``Packed(lengths)`` examples that have
        ended cost less. Sequences are then ``(length, batch, ...)``, or ``(length,)`` for all examples alike; initial
        values ``(batch, ...)``, with taps ``(rows, batch, ...)``; axis 0 of what ``fn`` returns is that of examples,
        and ``fn`` mixes none.

        After its last step an example's outputs are zero and its state is frozen (``reduce``, ``foldl`` and ``foldr``
        return it), and nothing of its sequences is read, so that they may hold NaN there; an example without steps may
        hold it anywhere. The loop runs ``max(lengths)`` steps, and outputs have that many rows, unless ``n_steps``
        says how many, ``x.shape[0]`` for example: then one program serves all lengths. With taps of sequences, steps
        count, not rows.

        ``go_backwards`` begins with each example's own last step, and all end together: row t of an output is time
        ``n_steps - 1 - t``, so that ``out[::-1]`` stands beside the outputs of a forward loop. ``truncate_gradient``
        counts each example's own last steps. Draws of an example do not depend on the others' lengths.

    Returns
    -------
    outputs : Variable, list of Variable, or None
        ``(n_steps, *step)`` for each output of ``fn``; a list where there are several.
    updates : dict from SharedVariable to Variable
        For each shared variable that ``fn`` updates, and each random stream that it draws from, the value after the
        last step, to be passed to ``function``. Not returned with ``return_updates=False``.

    Raises
    ------
    TypeError, ValueError
        Arguments or results do not fit each other; the error names the argument, both types and the line. Also for
        ``lengths`` that are negative or too large, a ``Budget`` that cannot be kept, and ``return_updates=False`` with
        updates.
    MissingInputError
        ``strict`` is set, and a shared variable is not passed.
    UnsupportedError
        ``fn`` returns ``until`` or updates with ``lengths``, or draws with ``Packed``.

    Examples
    --------
    A running sum:

    >>> import loopjax
    >>> import loopjax.tensor as at
    >>> x = at.dvector("x")
    >>> sums, updates = loopjax.scan(lambda x_t, total: total + x_t, sequences=x, outputs_info=at.zeros((), "float64"))
    >>> sums.eval({x: [1.0, 2.0, 3.0]})
    array([1., 3., 6.])

    Fibonacci numbers, which read two past values:

    >>> start = {"initial": [0, 1], "taps": [-2, -1]}
    >>> numbers, _ = loopjax.scan(lambda a, b: a + b, outputs_info=start, n_steps=5)
    >>> numbers.eval()
    array([1, 2, 3, 5, 8])
    """
    label, source = default_label(fn, name), user_source()
    with about(f"scan {label!r}"):
        if not isinstance(progress, str):
            check_flag("progress", progress)
        check_integer("truncate_gradient", truncate_gradient, -1)
        if unroll is not None:
            check_integer("unroll", unroll, 1)
    options = loop_options(
        fn,
        name,
        go_backwards=go_backwards,
        truncate_gradient=truncate_gradient,
        checkpoint=read_checkpoint(checkpoint, label, [] if source is None else [source]),
        unroll=unroll,
        progress=_progress_label(progress, label),
    )
    asked = LoopArguments(fn, sequences, outputs_info, non_sequences, n_steps, strict)
    outputs, updates = record_loop(asked, options, lengths)
    result = outputs if return_list else single(outputs)
    if return_updates:
        return result, updates
    if updates:
        raise coded(ValueError, "LJ114")(
            f"scan {label!r} updates {list(updates)}; return_updates=False would lose that, expected True; write "
            "outputs, "
            f"updates = scan(...){here()}"
        )
    return result


def _progress_label(progress: bool | str, label: str) -> str:
    """Return the text before the progress bar, empty for none."""
    if not progress:
        return ""
    if importlib.util.find_spec("tqdm") is None:
        raise ImportError(f"scan {label!r}: progress needs tqdm; install it with pip install 'loopjax[progress]'")
    return label if progress is True else str(progress)
