"""Programs with rewrites and without them."""

import numpy as np

import loopjax
from tests.rewrite.sized import scans

CLEANING = ("scan_cse", "licm", "dce", "loop_fusion", "vectorize_states")


def both(inputs, outputs, values, rtol=1e-12, without=CLEANING):
    """What a program gives with the rewrites and without, found equal; and the loops that are left."""
    modes = (None, loopjax.Mode().excluding(*without))
    with_, apart = (loopjax.function(inputs, outputs, mode=mode, on_unused_input="ignore") for mode in modes)
    found, expected = with_(*values), apart(*values)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol)
    return found, scans(with_.stages[-1].programs[-1].graph)
