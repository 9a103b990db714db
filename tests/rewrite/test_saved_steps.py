"""Saved steps: only the last steps are stacked, where only those are read."""

import re

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.ir.graph import Graph
from loopjax.ir.printing import graph_text
from loopjax.ir.verify import verify
from loopjax.rewrite.saved_steps import SaveReadSteps
from tests.rewrite.powers import power
from tests.rewrite.sized import symbolically


class TestKeep:
    @pytest.mark.parametrize(
        ("reads", "kept"),
        [
            ([lambda o: o[-1]], "last 1"),
            ([lambda o: o[-1], lambda o: o[-4]], "last 4"),
            ([lambda o: o[-3:]], "last 3"),
            ([lambda o: o[-3:], lambda o: o[-1]], "last 3"),
            ([lambda o: o.shape[0]], "last 0"),
            ([lambda o: o[-1], lambda o: o], "all"),
            ([lambda o: o[0]], "all"),
            ([lambda o: o[-3:-1]], "all"),
            ([lambda o: o.sum()], "all"),
        ],
    )
    def test_what_is_read_is_kept(self, reads, kept):
        k = at.lscalar("k")
        h, outputs = power(k, reads)
        graph = SaveReadSteps()(Graph([h, k], outputs))
        verify(graph)
        scans = re.findall(r"keeps ([^\]]*)\]", graph_text(graph))
        assert scans == ([kept] if "shape" not in kept and scans else [])
        if kept != "last 0":
            assert scans

    def test_until_does_not_cut_slices_that_may_be_longer_than_the_run(self):
        h = at.dscalar("h")
        out, _ = loopjax.scan(lambda h: (h * 2, loopjax.until(h > 9)), outputs_info=h, n_steps=50)
        assert "keeps all" in symbolically([SaveReadSteps()], [h], [out[-3:]])
        assert "keeps last 3" in symbolically([SaveReadSteps()], [h], [out[-3]])


def test_a_length_read_alone_still_checks_that_the_loop_could_run() -> None:
    n, x = at.lscalar("n"), at.dvector("x")
    out, _ = loopjax.scan(lambda u: u * 2, sequences=x, n_steps=n, name="double")
    f = loopjax.function([n, x], out.shape[0])
    assert int(f(3, np.ones(5))) == 3
    with pytest.raises(ValueError, match=r"'double': sequence 'x' has 5 rows; 6 steps need 6.*test_saved_steps"):
        f(6, np.ones(5))
    with pytest.raises(ValueError, match="'double': n_steps is negative: -1"):
        f(-1, np.ones(5))


@pytest.mark.parametrize(("kind", "trims"), [("known", False), ("value", True), ("until", True)])
def test_dynamic_only(kind, trims) -> None:
    """Loops whose length is known, or that of a stage, can be lowered with their stacks."""
    k, h = at.lscalar("k"), at.dscalar("h")
    step = (lambda h: (h * 2, loopjax.until(h > 9))) if kind == "until" else (lambda h: h * 2)
    out, _ = loopjax.scan(step, outputs_info=h, n_steps=k if kind == "value" else 5)
    found = symbolically([SaveReadSteps(dynamic_only=True)], [h, k], [out[-1]])
    assert ("keeps last 1" in found) is trims
    assert "keeps last 1" in symbolically([SaveReadSteps()], [h, k], [out[-1]])


@pytest.mark.parametrize(("read", "saved"), [(lambda out: out[-1], "last 1"), (lambda out: out[-2], "every 2")])
def test_every_second_step(read, saved) -> None:
    h = at.dscalar("h")
    out, _ = loopjax.scan_checkpoints(lambda h: h * 2, outputs_info=h, n_steps=6, save_every_N=2)
    assert f"keeps {saved}" in symbolically([SaveReadSteps()], [h], [read(out)])


def test_the_length_of_a_final_state_is_its_own() -> None:
    total = loopjax.shared(np.zeros(3), "total")
    h = at.dscalar("h")
    out, updates = loopjax.scan(lambda h: (h * 2, {total: total + h}), outputs_info=h, n_steps=5)
    found = symbolically([SaveReadSteps()], [h, total], [updates[total].shape[0], out[-1]])
    assert "dim[axis=0]" in found
