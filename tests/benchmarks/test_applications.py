"""Applications: LoopJAX and plain JAX agree, and the halves are as they were written down."""

from __future__ import annotations

import jax
import pytest

from benchmarks import __main__ as command
from benchmarks.workload import Scale
from benchmarks.workloads.applications import APPLICATIONS, HALVES, KNOWN


@pytest.fixture
def fast_compilation():
    """XLA without most optimizations: each program is called once."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.mark.usefixtures("fast_compilation")
@pytest.mark.parametrize("workload", APPLICATIONS, ids=lambda workload: workload.name)
def test_gives_the_value_of_plain_jax(workload):
    contenders = workload.make(Scale(quick=True))
    workload.compare(contenders.loopjax().call(), contenders.plain().call())


def test_halves_share_no_workload_and_stay_as_they_were():
    tuning, held_out = ({workload.name for workload in half} for half in HALVES.values())
    assert len(tuning) == len(APPLICATIONS) // 2
    assert len(held_out) == len(APPLICATIONS) - len(tuning) == 30
    assert not tuning & held_out
    assert tuning > KNOWN
    assert {"adam", "queue", "wave"} < tuning
    assert {"heat", "levinson", "mala"} < held_out


def test_list_names_the_workloads_of_a_half(capsys):
    assert command.main(["--half", "held-out", "--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        workload.name for workload in HALVES["held-out"]
    ]


def test_a_workload_of_the_other_half_is_refused(capsys):
    with pytest.raises(SystemExit):
        command.main(["--half", "tuning", "heat"])
    assert "no workload heat" in capsys.readouterr().err
