"""``scan_checkpoints``: a scan that saves few of its states for the gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loopjax.checkpoint.every import Every
from loopjax.errors import about, user_source
from loopjax.ir.graph import Graph
from loopjax.ir.scan import SavedSteps, Scan
from loopjax.trace.scan import record
from loopjax.trace.scan_arguments import default_label


def scan_checkpoints(
    fn: Callable[..., Any],
    sequences: Any = None,
    outputs_info: Any = None,
    non_sequences: Any = None,
    name: str | None = None,
    n_steps: Any = None,
    save_every_N: int = 10,  # noqa: N803 - the name that Theano programs use
    padding: bool = True,
) -> Any:
    """A scan of which every ``save_every_N``-th step and the last are kept, for the output and for the gradient.

    Arguments are those of ``scan``: taps in sequences and states, sequences of unequal lengths and any number of
    steps work, whether ``save_every_N`` divides it or not. ``padding`` is accepted for old programs: nothing needs
    padding here.

    Returns ``(outputs, updates)``; each output has the shape ``(ceil(n_steps / save_every_N), *step)``: row i is step
    ``(i + 1) * save_every_N``, the last row the last step. The gradient computes the steps between again, once.
    ``until`` is refused with ``ValueError``.
    """
    label = default_label(fn, name)
    with about(f"scan {label!r}", user_source()):
        if isinstance(save_every_N, bool) or not isinstance(save_every_N, int) or save_every_N < 1:
            raise ValueError(f"save_every_N is an int of at least 1, got {save_every_N!r}")
    options = Scan(body=Graph((), ()), checkpoint=Every(save_every_N), label=label)
    outputs, updates = record(
        fn, sequences, outputs_info, non_sequences, n_steps, options, saved=SavedSteps(every=save_every_N)
    )
    return outputs if len(outputs) > 1 else outputs[0] if outputs else None, updates
