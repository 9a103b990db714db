"""The table of JAX's transformations: all pairs and some triples, around loops of several kinds.

Each composition has one loop and one setting of x64 here, in turn; ``tests/interop/compositions.py`` runs all of them.
"""

import itertools
import random

import pytest

from tests.interop.compositions import LOOPS, PAIRS, TRIPLES, check, is_defined, until

COMPOSITIONS = [*PAIRS, *random.Random(18).sample(TRIPLES, 10)]
TURNS = itertools.cycle(itertools.product(LOOPS, (True, False)))


@pytest.mark.parametrize(
    ("names", "loop", "x64"),
    [(names, *next(TURNS)) for names in COMPOSITIONS if is_defined(names)],
    ids=lambda one: " of ".join(one) if isinstance(one, tuple) else one.__name__ if callable(one) else f"x64={one}",
)
def test_composition(names, loop, x64):
    check(names, loop, x64)


@pytest.mark.parametrize("x64", [True, False])
def test_a_derivative_outside_of_a_batch(x64):
    check(("grad", "vmap"), until, x64)
