"""``map``, ``reduce``, ``foldl`` and ``foldr``: scans of one shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loopjax.ir.graph import Graph
from loopjax.ir.scan import Scan
from loopjax.trace.ragged import Request
from loopjax.trace.scan import record_ragged, scan
from loopjax.trace.scan_arguments import default_label


def map(
    fn: Callable[..., Any],
    sequences: Any,
    non_sequences: Any = None,
    truncate_gradient: int = -1,
    go_backwards: bool = False,
    mode: Any = None,
    name: str | None = None,
    *,
    n_steps: Any = None,
    strict: bool = False,
    lengths: Any = None,
) -> Any:
    """``fn`` on each element of ``sequences``: a scan without states.

    Returns ``(outputs, updates)``, outputs of shape ``(length, *step)``. Arguments and errors as in ``scan``.
    """
    return scan(
        fn,
        sequences=sequences,
        non_sequences=non_sequences,
        truncate_gradient=truncate_gradient,
        go_backwards=go_backwards,
        n_steps=n_steps,
        strict=strict,
        name=name,
        lengths=lengths,
    )


def reduce(
    fn: Callable[..., Any],
    sequences: Any,
    outputs_info: Any,
    non_sequences: Any = None,
    go_backwards: bool = False,
    mode: Any = None,
    name: str | None = None,
    *,
    n_steps: Any = None,
    strict: bool = False,
    lengths: Any = None,
) -> Any:
    """The last value of each state of a scan: ``(outputs, updates)``, outputs of shape ``(*state)``.

    With ``lengths``, that of each example after its own last step: the initial one where it has none.
    """
    if lengths is not None:
        return _last_states(fn, sequences, outputs_info, non_sequences, go_backwards, name, n_steps, strict, lengths)
    outputs, updates = scan(
        fn,
        sequences=sequences,
        outputs_info=outputs_info,
        non_sequences=non_sequences,
        go_backwards=go_backwards,
        n_steps=n_steps,
        strict=strict,
        name=name,
    )
    if isinstance(outputs, list):
        return [output[-1] for output in outputs], updates
    return outputs[-1], updates


def _last_states(
    fn: Callable[..., Any],
    sequences: Any,
    outputs_info: Any,
    non_sequences: Any,
    go_backwards: bool,
    name: str | None,
    n_steps: Any,
    strict: bool,
    lengths: Any,
) -> Any:
    label = default_label(fn, name)
    asked = Request(fn, sequences, outputs_info, n_steps, lengths, bool(go_backwards), -1, label, last=True)
    options = Scan(body=Graph((), ()), label=label)
    outputs, updates = record_ragged(asked, non_sequences, options, strict=strict)
    return outputs if len(outputs) > 1 else outputs[0], updates


def foldl(
    fn: Callable[..., Any],
    sequences: Any,
    outputs_info: Any,
    non_sequences: Any = None,
    mode: Any = None,
    name: str | None = None,
    *,
    n_steps: Any = None,
    strict: bool = False,
    lengths: Any = None,
) -> Any:
    """``reduce`` from the first element to the last."""
    return reduce(
        fn, sequences, outputs_info, non_sequences, False, name=name, n_steps=n_steps, strict=strict, lengths=lengths
    )


def foldr(
    fn: Callable[..., Any],
    sequences: Any,
    outputs_info: Any,
    non_sequences: Any = None,
    mode: Any = None,
    name: str | None = None,
    *,
    n_steps: Any = None,
    strict: bool = False,
    lengths: Any = None,
) -> Any:
    """``reduce`` from the last element to the first."""
    return reduce(
        fn, sequences, outputs_info, non_sequences, True, name=name, n_steps=n_steps, strict=strict, lengths=lengths
    )
