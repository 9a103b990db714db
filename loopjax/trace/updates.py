"""Updates: new values of shared variables, as ``scan`` returns them and ``function`` takes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from loopjax.errors import ArgumentError, coded, here, read_pairs
from loopjax.ir.graph import Variable

Pairs = Mapping[Any, Any] | Iterable[tuple[Variable, Any]]


class OrderedUpdates(dict[Any, Variable]):
    """A dict from shared variables to their new values; ``+`` joins it with another or with a list of pairs.

    Joining raises ``ValueError`` where a shared variable has two different new values.
    """

    def __add__(self, other: Pairs) -> OrderedUpdates:
        return _joined(self, other)

    def __radd__(self, other: Pairs) -> OrderedUpdates:
        return _joined(other, self)


def check_unpacked(value: Any) -> None:
    """Raise ``TypeError`` where a value is what ``scan`` returns, or its updates, in the place of a variable."""
    if any(isinstance(part, OrderedUpdates) for part in (value if isinstance(value, (list, tuple)) else [value])):
        raise coded(ArgumentError, "LJ119")(
            f"expected a variable, and scan returns (outputs, updates); write `out, updates = scan(...)`{here()}", value
        )


def _joined(*several: Pairs) -> OrderedUpdates:
    joined = OrderedUpdates()
    for pairs in several:
        for shared, value in read_pairs("updates", pairs):
            if joined.setdefault(shared, value) is not value:
                raise coded(ValueError, "LJ304")(
                    f"{shared!r} has two new values, {joined[shared]!r} and {value!r}{here()}"
                )
    return joined
