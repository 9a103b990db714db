"""Pairwise tests: few combinations of parameters in which every two values of two parameters occur together."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

Pair = tuple[tuple[int, Any], tuple[int, Any]]


def pairwise(**values: Sequence[Any]) -> Any:
    """Parametrize a test with such combinations, found one by one by a greedy search (Cohen et al. 1997, AETG)."""
    grid = list(itertools.product(*(range(len(each)) for each in values.values())))
    left = {pair for row in grid for pair in _pairs(row)}
    chosen = list[Any]()
    while left:
        row = max(grid, key=lambda row: len(left.intersection(_pairs(row))))
        left -= _pairs(row)
        chosen.append([each[place] for each, place in zip(values.values(), row, strict=True)])
    return pytest.mark.parametrize(",".join(values), chosen)


def _pairs(row: Sequence[int]) -> set[Pair]:
    return set(itertools.combinations(enumerate(row), 2))
