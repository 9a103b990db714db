"""Random variables: draws from a key, and the key after them.

A distribution that LoopJAX has draws by it; another one by PyTensor's own JAX implementation, with the same key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
from pytensor.graph.basic import Apply
from pytensor.tensor.random.op import RandomVariable
from pytensor.tensor.type_other import NoneTypeT

from loopjax.interop.wrap_jax import wrap_jax
from loopjax.pytensor.conversion import Conversion, of_type, rule
from loopjax.pytensor.dispatch import Sampled, sampler_of
from loopjax.pytensor.shapes import sizes
from loopjax.random.distributions import DISTRIBUTIONS, draw
from loopjax.random.stream import RandomStream  # noqa: F401 - registers the distributions

PARAMETERS = {
    "uniform": 2,
    "triangular": 3,
    "beta": 2,
    "normal": 2,
    "halfnormal": 2,
    "lognormal": 2,
    "gamma": 2,
    "pareto": 2,
    "gumbel": 2,
    "exponential": 1,
    "weibull": 1,
    "logistic": 2,
    "vonmises": 2,
    "multivariate_normal": 2,
    "dirichlet": 1,
    "poisson": 1,
    "geometric": 1,
    "hypergeometric": 3,
    "cauchy": 2,
    "halfcauchy": 2,
    "invgamma": 2,
    "wald": 2,
    "truncexpon": 3,
    "t": 3,
    "bernoulli": 1,
    "laplace": 2,
    "binomial": 2,
    "negative_binomial": 2,
    "betabinom": 3,
    "gengamma": 3,
    "multinomial": 2,
    "categorical": 1,
    "integers": 2,
}
"""Distributions that mean the same here and in PyTensor, with the number of their parameters."""


def _split(data: Any) -> tuple[Any, Any]:
    following, key = jax.random.split(jax.random.wrap_key_data(data))
    return jax.random.key_data(following), key


@rule(RandomVariable)
def _random_variable(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    op, output = node.op, node.outputs[1]
    generator, _, *parameters = args
    size = None if isinstance(node.inputs[1].type, NoneTypeT) else sizes(conversion, node.inputs[1])
    if size is not None and all(isinstance(one, int) for one in output.type.shape[: len(size)]):
        size = list(output.type.shape[: len(size)])
    following, key = wrap_jax(_split, name="next generator")(generator)
    if PARAMETERS.get(op.name) == len(parameters):
        spec = DISTRIBUTIONS[op.name]
        dtype = None if spec.discrete else output.type.dtype
        return [following, of_type(draw(op.name, key, parameters, size, dtype), output)]
    sampler = sampler_of(node)
    if size is not None and not all(isinstance(one, int) for one in size):
        raise ValueError(f"{op.name} has no rule, and PyTensor's JAX implementation needs a constant size")
    conversion.fallbacks[op.name] += 1
    call = Sampled(op, output.type.dtype, None if size is None else tuple(size), sampler)
    return [following, of_type(wrap_jax(call, name=op.name, x64=True)(key, *parameters), output)]
