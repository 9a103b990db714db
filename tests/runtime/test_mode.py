"""Modes: which rewrites are made."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.config import config
from loopjax.rewrite.target import NUMERICAL, REWRITES


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
    with pytest.raises(ValueError, match=r"there is no rewrite 'lcim'; they are .*; did you mean 'licm'\? \[test_mode"):
        loopjax.Mode().excluding("lcim")
    with pytest.raises(ValueError, match=r"mode is one of .*'FAST_RUN'.* not 'fast' \[test_mode"):
        polynomial("fast")
    with pytest.raises(TypeError, match="mode is a Mode, a name or None, not 3"):
        polynomial(3)


@pytest.mark.parametrize(
    ("old", "present", "says"),
    [
        ("hoist", {"loop_prologue", "block_sampling"}, "is now 'loop_prologue' and 'block_sampling'"),
        ("prune", {"scan_cse", "licm", "dce"}, "is now 'scan_cse' and 'licm' and 'dce'"),
        ("constants", set(), "is no choice any more"),
        ("constant_folding", set(), "is no choice any more"),
    ],
)
def test_old_names_of_rewrites(old, present, says):
    with pytest.warns(DeprecationWarning, match=f"the rewrite '{old}' {says}") as warned:
        assert loopjax.Mode().excluding(old).without == present
    assert warned[0].filename == __file__
    with pytest.warns(DeprecationWarning, match=f"'{old}'") as warned:
        assert loopjax.Mode(frozenset([old])).without == present
    assert warned[0].filename == __file__
    with pytest.warns(DeprecationWarning, match=f"'{old}'"):
        assert loopjax.Mode(present).including(old).without == set()


class TestOldPrograms:
    def test_modes_by_their_old_paths(self, monkeypatch):
        from loopjax.compile.mode import FAST_COMPILE, FAST_RUN, get_default_mode, get_mode

        assert get_mode("FAST_RUN") == FAST_RUN == get_default_mode() == loopjax.Mode()
        assert get_mode("FAST_COMPILE") == FAST_COMPILE == loopjax.Mode().excluding(*REWRITES).including(*NUMERICAL)
        assert loopjax.compile.get_default_mode().excluding("vmap") == loopjax.Mode(frozenset(["vmap"]))
        assert loopjax.compile.mode.predefined_modes["tune"].tune
        monkeypatch.setattr(config, "mode", "FAST_COMPILE")
        assert get_default_mode() == FAST_COMPILE
        assert kind(polynomial(get_default_mode().including("vmap"))) == "vmap"

    @pytest.mark.parametrize(
        "make",
        [
            lambda: loopjax.Mode(linker="py"),
            lambda: loopjax.Mode(optimizer="fast_run"),
            lambda: loopjax.Mode("c|py", "fast_run"),
        ],
    )
    def test_linkers_and_optimizers(self, make):
        with pytest.raises(TypeError, match=r"no linker and no optimizer.*excluding"):
            make()

    @pytest.mark.parametrize(
        ("name", "remedy"), [("DebugMode", "verify"), ("DEBUG_MODE", "verify"), ("NanGuardMode", "check='nan'")]
    )
    def test_modes_that_are_not_here(self, name, remedy):
        with pytest.raises(loopjax.errors.UnsupportedError, match=remedy):
            polynomial(name)

    def test_their_classes(self):
        from loopjax.compile.debugmode import DebugMode
        from loopjax.compile.nanguardmode import NanGuardMode

        with pytest.raises(loopjax.errors.UnsupportedError, match="there is no NanGuardMode here: pass check"):
            NanGuardMode(nan_is_error=True, inf_is_error=True)
        with pytest.raises(loopjax.errors.UnsupportedError, match=r"there is no DebugMode here.*\[test_mode"):
            DebugMode()
        with pytest.raises(loopjax.errors.UnsupportedError, match="there is no MonitorMode here"):
            loopjax.compile.MonitorMode(pre_func=print)

    def test_rewrites_of_old_programs(self):
        for change in (loopjax.Mode().excluding, loopjax.Mode().including):
            with pytest.raises(ValueError, match=r"there is no rewrite 'fusion'.*XLA does"):
                change("fusion")

    def test_what_is_said_of_nan_is_so(self):
        import jax

        x = at.dvector("x")
        f = loopjax.function([x], loopjax.map(at.sqrt, x)[0])
        jax.config.update("jax_debug_nans", True)
        try:
            with pytest.raises(FloatingPointError):
                f([-1.0])
        finally:
            jax.config.update("jax_debug_nans", False)
