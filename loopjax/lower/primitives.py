"""JAX's primitives by kind: what they compute, what they only move, and which of them run programs of their own.

A rewrite of lowered programs says with these which equations it looks at. A primitive that no set has, of a later
version of JAX, say, is left as it is.
"""

from __future__ import annotations

LOOPS = frozenset({"scan", "while"})
INLINED_CALLS = frozenset({"checkpoint", "closed_call", "custom_jvp_call", "custom_vjp_call", "jit", "pjit", "remat2"})
CALLS = INLINED_CALLS | {"cond"}
"""Primitives that run their regions once for each step, and once: one region, or one of several."""

ARITHMETIC = frozenset(
    {
        *("abs", "add", "add_any", "and", "ceil", "clamp", "clz", "convert_element_type", "div", "eq", "floor", "ge"),
        *("gt", "integer_pow", "is_finite", "le", "lt", "max", "min", "mul", "ne", "neg", "nextafter", "not"),
        *("one_minus_square", "or", "population_count", "reduce_precision", "rem", "round", "select_n", "shift_left"),
        *("shift_right_arithmetic", "shift_right_logical", "sign", "square", "sub", "xor"),
    }
)
TRANSCENDENTAL = frozenset(
    {
        *("acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "cos", "cosh", "digamma", "erf"),
        *("erf_inv", "erfc", "exp", "exp2", "expm1", "lgamma", "log", "log1p", "log2", "logistic", "pow", "rsqrt"),
        *("sin", "sinh", "sqrt", "tan", "tanh"),
    }
)
"""Elementwise primitives: of one instruction or few, and of many."""

SAME_ELEMENTS = frozenset(
    {"broadcast_in_dim", "copy", "copy_p", "expand_dims", "name", "reshape", "squeeze", "stop_gradient"}
)
"""Primitives whose result has the elements of their operand in the same order, or repeats them."""

MOVES = SAME_ELEMENTS | {
    *("bitcast_convert_type", "concatenate", "dynamic_slice", "gather", "iota", "optimization_barrier", "pad", "rev"),
    *("slice", "split", "stack", "tile", "transpose", "unstack"),
}
"""Primitives that compute nothing."""

REDUCTIONS = frozenset(
    {
        *("argmax", "argmin", "reduce_and", "reduce_max", "reduce_min", "reduce_or", "reduce_prod", "reduce_sum"),
        "reduce_xor",
    }
)
CUMULATIVE = frozenset({"cumlogsumexp", "cummax", "cummin", "cumprod", "cumsum"})
RANDOM = frozenset(
    {
        *("random_bits", "random_clone", "random_fold_in", "random_seed", "random_split", "random_unwrap"),
        *("random_wrap", "threefry2x32"),
    }
)

SCATTERS = frozenset({"scatter", "scatter-add", "scatter-max", "scatter-min", "scatter-mul", "scatter-sub"})
SCATTERS |= {name.replace("-", "_") for name in SCATTERS}  # as later versions write them
WRITES = SCATTERS | {"dynamic_update_slice"}
"""Primitives that write into their first operand, in place where nothing reads it later."""
