"""Traits of the op table: every op that a rewrite decides by, listed here once more."""

import typing

import pytest

import loopjax.rewrite.pipeline  # noqa: F401 - registers the ops of all folders
from loopjax.ir.op import OP_TABLE, register, table_op
from loopjax.ir.traits import IMPLIED, Trait

POINTWISE = """
    abs add and_ angle arccos arccosh arcsin arcsinh arctan arctan2 arctanh as_float betainc cast ceil clip_between
    complex conj cos cosh deg2rad disconnected_grad elu eq erf erfc erfinv exp exp2 expm1 floor floor_div gamma gammainc
    gammaincc gammaln ge grad_clip grad_scale gt hypot i0 i1 identity imag in_bounds integer_pow invert isclose isfinite
    isinf isnan le left_shift log log10 log1mexp log1p log2 log_erfc logaddexp logical_and logical_not logical_or
    logical_xor logit lt maximum minimum mod mul neg neq no_change or_ perturb power psi rad2deg real reciprocal relu
    right_shift
    round_half_away_from_zero round_half_to_even second selu sigmoid sign sin sinh softplus sqr sqrt stored sub switch
    tan tanh tapped true_div trunc with_value xor zero_grad
"""

REDUCE = "all any argmax argmin logsumexp max mean min prod sum var"

MOVES = """
    advance alloc arange broadcast_to cumprod cumsum diag diagonal dim dimshuffle eye inc join linspace log_softmax
    fill_rows mask_rows outer parts put_window repeat reshape resize roll set shape softmax specify_shape tile transpose
    tril triu window
"""

VIEW = "alloc broadcast_to dimshuffle reshape transpose identity stored in_bounds specify_shape"

TABLE = {
    "pointwise": POINTWISE,
    "reduce": REDUCE,
    "gather": "index",
    "scatter": "set inc",
    "view": VIEW,
    "memory_bound": f"{POINTWISE} {REDUCE} {MOVES} index halo shear",
    "cheap": """
        add sub mul neg true_div reciprocal sqr abs maximum minimum switch identity cast sign and_ or_ xor invert
        logical_and logical_or logical_not logical_xor eq neq lt le gt ge integer_pow clip_between relu second sqrt
        complex real imag
    """,
    "finite_derivative": f"""
        {VIEW} index roll halo add sub neg switch second cast as_float sum mean maximum minimum perturb
    """,
    "selection": f"{VIEW} index window fill_rows resize cut roll halo",
    "rotation": "roll",
    "contraction": "dot matmul tensordot",
    "matmul": "dot matmul",
    "cubic": """
        cholesky eigh eigvalsh svd qr solve solve_triangular matrix_inverse pinv lstsq det slogdet expm matrix_power
    """,
    "inner_loop": """
        betainc gammainc gammaincc draw_beta draw_betabinom draw_binomial draw_chisquare draw_dirichlet draw_f
        draw_gamma draw_gengamma draw_hypergeometric draw_invgamma draw_multinomial draw_multivariate_hypergeometric
        draw_negative_binomial draw_noncentral_chisquare draw_noncentral_f draw_poisson draw_polyagamma
        draw_standard_gamma draw_standard_t draw_t draw_vonmises draw_zipf
    """,
    "may_fail": "index set inc in_bounds",
    "disconnected": "disconnected_grad dim shape",
    "reverse_only": "grad_clip",
    "x64": """
        draw_choice draw_hypergeometric draw_integers draw_logseries draw_multivariate_hypergeometric draw_zipf
    """,
}


def ops_with(trait):
    own = [name for name in OP_TABLE if not name.startswith("compat_")]  # registered with loopjax.compat's libraries
    return {name for name in own if table_op(name).has(trait)} - {"host_check"}


@pytest.mark.parametrize("trait", TABLE)
def test_traits_hold_for_these_ops_and_no_others(trait):
    assert ops_with(trait) == set(TABLE[trait].split())


def test_every_draw_is_named_as_one():
    draws = ops_with("draw")
    assert len(draws) > 50
    assert draws == {name for name in OP_TABLE if name.startswith("draw_")}


def test_every_trait_is_tested_and_what_it_implies_is_there():
    assert {*TABLE, "draw", "prefix_draw"} == set(typing.get_args(Trait))  # tests/random/test_prefix.py has the last
    for trait, implied in IMPLIED.items():
        assert all(ops_with(trait) <= ops_with(other) for other in implied)


def test_an_op_has_one_of_several_traits():
    assert table_op("dot").has("pointwise", "contraction")
    assert not table_op("dot").has("pointwise", "view")


def test_a_name_is_registered_once():
    with pytest.raises(ValueError, match="op 'add' is registered already"):
        register("add", None, lambda x: x)
