"""Modes: which rewrites are made."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.config import config
from loopjax.rewrite.target import REWRITES


def polynomial(mode):
    x = at.dvector("x")
    powers, _ = loopjax.scan(lambda value: value**2, sequences=x)
    return loopjax.function([x], powers, mode=mode)


def kind(f):
    f(np.arange(4.0))
    return loopjax.explain(f).loops[0].plan.kind


def test_a_rewrite_that_is_left_out_is_not_made():
    assert kind(polynomial(None)) == "vmap"
    assert kind(polynomial(loopjax.Mode().excluding("vmap"))) == "scan"
    assert kind(polynomial(loopjax.Mode().excluding("vmap").including("vmap"))) == "vmap"
    assert kind(polynomial("FAST_COMPILE")) == "scan"


@pytest.mark.parametrize("name", REWRITES)
def test_every_rewrite_can_be_left_out(name):
    np.testing.assert_array_equal(polynomial(loopjax.Mode().excluding(name))(np.arange(4.0)), np.arange(4.0) ** 2)


def test_the_setting(monkeypatch):
    monkeypatch.setattr(config, "mode", "FAST_COMPILE")
    assert kind(polynomial(None)) == "scan"
    assert kind(polynomial("FAST_RUN")) == "vmap"


def test_what_is_not_a_mode():
    with pytest.raises(ValueError, match="there is no rewrite 'hoisting'; they are"):
        loopjax.Mode().excluding("hoisting")
    with pytest.raises(ValueError, match=r"mode is one of .*'FAST_RUN'.* not 'fast'"):
        polynomial("fast")
    with pytest.raises(TypeError, match="mode is a Mode, a name or None, not 3"):
        polynomial(3)
