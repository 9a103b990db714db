"""The stress measurement, about a fiftieth of it: nothing lost, nothing held."""

from benchmarks import stress


def test_nothing_is_lost_and_nothing_stays_held():
    rows = stress.run(short=True)
    assert [(row.name, row.wrong) for row in rows if row.wrong] == []
    assert [row.done for row in rows] == [320, 16, 4, 400, 20]
