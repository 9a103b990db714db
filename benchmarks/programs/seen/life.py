"""Epidemics and sequences, float64."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

PARTS = 4


def ages(aesara: Any) -> Any:
    """Squared error of the daily infections of a model with ages, and its gradient in three rates (Kermack and
    McKendrick 1927; Wallinga, Teunis and Kretzschmar 2006), with a loop over the parts of each day."""
    at = aesara.tensor
    contacts, start, seen = at.dmatrix("contacts"), at.dmatrix("start"), at.dvector("seen")
    rates = spread, onset, recovery = [at.dscalar(name) for name in ("spread", "onset", "recovery")]

    def part(S: Any, E: Any, I: Any, new: Any) -> list[Any]:  # noqa: E741 - as the field names it
        infected = spread * S * at.dot(contacts, I) / PARTS
        ill, well = onset * E / PARTS, recovery * I / PARTS
        return [S - infected, E + infected - ill, I + ill - well, new + ill.sum()]

    def day(S: Any, E: Any, I: Any) -> list[Any]:  # noqa: E741 - as the field names it
        zero = at.zeros((), dtype="float64")
        (S_p, E_p, I_p, new), _ = aesara.scan(part, outputs_info=[S, E, I, zero], n_steps=PARTS)
        return [S_p[-1], E_p[-1], I_p[-1], new[-1]]

    (_, _, _, new), updates = aesara.scan(day, outputs_info=[start[0], start[1], start[2], None], n_steps=seen.shape[0])
    cost = ((new - seen) ** 2).sum()
    return aesara.function([contacts, start, seen, *rates], [cost, *aesara.grad(cost, rates)], updates=updates)


def folding(aesara: Any) -> Any:
    """Most pairs of each part of a sequence of nucleotides (Nussinov and Jacobson 1980), by growing spans: element
    ``[i, d]`` of a table is for the part from ``i``, of another for the part up to ``i``. ``can[i, j]`` is 1 where a
    pair is possible."""
    at = aesara.tensor
    can = at.dmatrix("can")
    size = can.shape[0]
    i = at.arange(size)

    def step(d: Any, after: Any, before: Any) -> list[Any]:
        end = (i + d) % size
        rest = before[end][:, (d - 1 - i) % size]
        split = at.max(at.switch(i < d, after + rest, -1.0), axis=1)
        inner = at.switch(d > 1, after[(i + 1) % size, (d - 2) % size], 0.0)
        best = at.maximum(split, inner + can[i, end])
        best = at.switch(i + d < size, best, 0.0)
        return [at.set_subtensor(after[:, d], best), at.set_subtensor(before[end, d], best)]

    zeros = at.zeros_like(can)
    (after, _), updates = aesara.scan(step, sequences=at.arange(1, size), outputs_info=[zeros, zeros])
    return aesara.function([can], after[-1], updates=updates)
