"""The border with JAX: ``to_jax`` makes a JAX function of a program, ``wrap_jax`` an op of a JAX function."""
