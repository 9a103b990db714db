"""Names that have no meaning here: what is accepted, and what says so when it is used."""

import numpy as np
import pytest

import loopjax.compat.theano as theano
import loopjax.compat.theano.tensor as T
from loopjax.compat.theano.gof import ParamsType
from loopjax.compat.theano.gof.opt import Optimizer
from loopjax.errors import UnsupportedError


@pytest.mark.filterwarnings("ignore::loopjax.compat.notes.CompatNote")
def test_settings_of_c_code_and_linkers_are_accepted():
    settings = ParamsType(inplace=bool)
    assert settings.inplace is bool
    x = T.dscalar("x")
    for linker in (theano.OpWiseCLinker(), theano.gof.CLinker(), theano.gof.OpWiseCLinker(allow_gc=False)):
        f = theano.function([x], x * 2, mode=theano.Mode(linker=linker))
        assert f(np.float64(3)) == 6


def test_other_names_say_so_when_they_are_used():
    with pytest.raises(UnsupportedError, match="Optimizer does not exist"):
        Optimizer()
