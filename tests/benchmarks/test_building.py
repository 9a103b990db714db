"""``python -m benchmarks.building``: time before XLA by the size of a program."""

import pytest

from benchmarks.building import FAMILIES, Family, measured, report


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_grows(name):
    small, large = FAMILIES[name][1][:2]
    found = measured(name, (small, large), repeats=1)
    assert min(found.seconds) > 0
    assert Family.from_json(found.as_json()) == found
    assert name in report([found])


def test_the_exponent_is_that_of_the_upper_half():
    assert Family("one", (1, 2, 10, 100, 1_000), (5.0, 5.0, 1.0, 3.0, 100.0)).exponent == pytest.approx(1.0)
