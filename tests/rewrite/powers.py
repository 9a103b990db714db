"""A loop of any number of steps that nothing but its readers decides."""

import loopjax
import loopjax.tensor as at


def power(k, reads):
    h = at.dscalar("h")
    out, _ = loopjax.scan(lambda h: h * 2, outputs_info=h, n_steps=k)
    return h, [read(out) for read in reads]
