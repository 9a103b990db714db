"""Workloads as Theano programs: one source for LoopJAX, PyTensor and Aesara.

Each program takes the library, as ``aesara``, the values of its shared variables and its options, and returns a
compiled function. No module here imports JAX, since the other libraries run in their own environments.
"""
