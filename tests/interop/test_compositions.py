"""The table of JAX's transformations: a fifth of the pairs and some triples, around loops of several kinds.

Each composition has one loop and one setting of x64 here, in turn; ``tests/interop/compositions.py`` runs all of them.
"""

import itertools
import json
import random

import jax.numpy as jnp
import pytest

from tests.interop import compositions
from tests.interop.compositions import (
    OPAQUE,
    PAGE,
    PAIRS,
    RESULTS,
    SETTINGS,
    TRIPLES,
    check,
    is_defined,
    outcome,
    page,
    recorded,
    title,
    until,
)

COMPOSITIONS = [*random.Random(17).sample(PAIRS, 30), *random.Random(18).sample(TRIPLES, 6)]
TURNS = itertools.cycle([*SETTINGS, *OPAQUE])


@pytest.mark.parametrize(
    ("names", "loop", "dtype", "x64"),
    [(names, *next(TURNS)) for names in COMPOSITIONS if is_defined(names)],
    ids=lambda one: " of ".join(one) if isinstance(one, tuple) else one.__name__ if callable(one) else f"x64={one}",
)
def test_composition(names, loop, dtype, x64):
    check(names, loop, dtype, x64)


@pytest.mark.parametrize("x64", [True, False])
def test_a_derivative_outside_of_a_batch(x64):
    check(("grad", "vmap"), until, "float64" if x64 else "float32", x64)


def test_what_jax_refuses_is_told_from_what_fails(monkeypatch):
    assert "custom_vjp" in outcome(("jvp", "custom_vjp"))["refused"]
    names = ("jit", "checkpoint")
    assert outcome(names) == {"passed": len(SETTINGS) + 1, "refused": "", "failed": {}}
    monkeypatch.setattr(
        compositions, "recorded", lambda loop, dtype: jnp.sin if loop is until else recorded(loop, dtype)
    )
    row = outcome(names)
    assert {name.split()[0] for name in row["failed"]} == {"until"}
    assert row["passed"] + len(row["failed"]) == len(SETTINGS) + 1


def test_the_page_shows_what_was_found():
    """Of the files of the oldest and the newest JAX."""
    files = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]
    assert [found["environment"]["jax"] for found in files] == ["0.10.2", "0.12.0.1"]
    assert all({title(names) for names in PAIRS} <= {*found["rows"]} for found in files)
    for name, row in (one for found in files for one in found["rows"].items()):
        assert is_defined(name.split(" of ")) != bool(row["refused"]), name
    assert page(PAGE.read_text()) == PAGE.read_text()
