"""The new values of shared variables, as ``scan`` returns them and ``function`` takes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from loopjax.errors import here
from loopjax.ir.graph import Variable
from loopjax.trace.shared import SharedVariable

Pairs = Mapping[SharedVariable, Any] | Iterable[tuple[SharedVariable, Any]]


class OrderedUpdates(dict[SharedVariable, Variable]):
    """A dict from shared variable to its new value; ``+`` joins two, or one and a list of pairs.

    Joining raises ``ValueError`` where one shared variable has two different new values.
    """

    def __add__(self, other: Pairs) -> OrderedUpdates:
        return _joined(self, other)

    def __radd__(self, other: Pairs) -> OrderedUpdates:
        return _joined(other, self)


def _joined(*parts: Pairs) -> OrderedUpdates:
    joined = OrderedUpdates()
    for part in parts:
        for shared, value in part.items() if isinstance(part, Mapping) else part:
            if joined.setdefault(shared, value) is not value:
                raise ValueError(f"{shared!r} has two new values, {joined[shared]!r} and {value!r}{here()}")
    return joined
