"""Workloads whose inner lengths differ from step to step: all contenders agree."""

import pytest

from benchmarks.workload import Scale
from benchmarks.workloads.step_lengths import WORKLOADS


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_contenders_agree(workload):
    contenders = workload.make(Scale(quick=True))
    plain = contenders.plain().call()
    if contenders.tuned is not None:
        workload.compare(contenders.tuned().call(), plain)
    workload.compare(contenders.loopjax().call(), plain)
