"""Ways of running a scan in JAX: one step, the history in its carry, accumulators, and each kind of loop."""
