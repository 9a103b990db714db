"""Workloads whose inner lengths differ from step to step: all contenders agree."""

import pytest

from benchmarks.workload import Scale
from benchmarks.workloads.step_lengths import WORKLOADS
from loopjax.errors import LengthError

REFUSED = {"alignment", "minibatches"}
"""Workloads that LoopJAX refuses still."""


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_contenders_agree(workload):
    contenders = workload.make(Scale(quick=True))
    plain = contenders.plain().call()
    if contenders.tuned is not None:
        workload.compare(contenders.tuned().call(), plain)
    if workload.name in REFUSED:
        with pytest.raises(LengthError):
            contenders.loopjax().call()
    else:
        workload.compare(contenders.loopjax().call(), plain)
