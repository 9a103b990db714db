"""Updates that are joined."""

import pytest

import loopjax
from loopjax.updates import OrderedUpdates


def test_updates_of_two_loops_are_joined():
    a, b, c = loopjax.shared(1), loopjax.shared(10), loopjax.shared(100)
    _, first = loopjax.scan(lambda: {a: a + 1}, n_steps=3)
    _, second = loopjax.scan(lambda: {b: b + 2}, n_steps=3)
    f = loopjax.function([], [], updates=first + second + [(c, c + 1)])
    f()
    assert [int(one.get_value()) for one in (a, b, c)] == [4, 16, 101]
    joined = [(c, c + 1)] + first
    assert isinstance(joined, OrderedUpdates)
    assert list(joined) == [c, a]
    assert first + first == first


def test_two_new_values_are_refused():
    a = loopjax.shared(1, name="a")
    with pytest.raises(ValueError, match=r"<shared a: .*has two new values, .*\[test_updates\.py:\d+\](\n|$)"):
        OrderedUpdates({a: a + 1}) + {a: a + 2}
