"""Applications and held-out workloads: LoopJAX and plain JAX agree, and the sets share nothing.

The command compares the values of every program when it measures it. Here run every third application, every tenth
of those seen, and the first look: all of them would take minutes.
"""

from __future__ import annotations

import jax
import pytest

from benchmarks import __main__ as command
from benchmarks.workload import Scale
from benchmarks.workloads import WORKLOADS
from benchmarks.workloads.applications import APPLICATIONS
from benchmarks.workloads.held_out import FINAL, FIRST_LOOK, HELD_OUT
from benchmarks.workloads.seen import SEEN

ROUNDED = {"support-vectors"}
"""Programs with ties that rounding decides, which differs between levels of optimization."""


@pytest.fixture
def fast_compilation(workload):
    """XLA without most optimizations: each program is called once."""
    jax.config.update("jax_disable_most_optimizations", workload.name not in ROUNDED)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.mark.usefixtures("fast_compilation")
@pytest.mark.parametrize("workload", [*APPLICATIONS[::3], *SEEN[::10]], ids=lambda workload: workload.name)
def test_gives_the_value_of_plain_jax(workload):
    contenders = workload.make(Scale(quick=True))
    workload.compare(contenders.loopjax().call(), contenders.plain().call())


@pytest.mark.usefixtures("fast_compilation")
@pytest.mark.parametrize("workload", FIRST_LOOK, ids=lambda workload: workload.name)
def test_gives_the_value_of_plain_jax_and_so_does_jax_by_hand(workload):
    contenders = workload.make(Scale(quick=True))
    expected = contenders.plain().call()
    workload.compare(contenders.loopjax().call(), expected)
    workload.compare(contenders.tuned().call(), expected)


def test_no_two_workloads_share_a_name():
    names = [workload.name for workload in (*WORKLOADS, *APPLICATIONS, *SEEN, *HELD_OUT)]
    assert len(set(names)) == len(names)
    assert (len(APPLICATIONS), len(SEEN), len(HELD_OUT)) == (59, 237, 20)


def test_list_names_the_workloads_of_a_set(capsys):
    assert command.main(["--set", "held-out", "--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        workload.name for workload in HELD_OUT
    ]


@pytest.mark.parametrize(("half", "workloads"), [("first-look", FIRST_LOOK), ("final", FINAL)])
def test_a_half_of_those_held_out_is_chosen_by_its_name(half, workloads, capsys):
    assert command.main(["--set", "held-out", half, "--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [one.name for one in workloads]


def test_the_halves_of_those_held_out_share_nothing():
    assert (len(FIRST_LOOK), len(FINAL)) == (8, 12)
    assert {one.name for one in (*FIRST_LOOK, *FINAL)} == {one.name for one in HELD_OUT}


def test_a_workload_of_the_other_set_is_refused(capsys):
    with pytest.raises(SystemExit):
        command.main(["--set", "held-out", "hmc"])
    assert "no workload hmc" in capsys.readouterr().err
