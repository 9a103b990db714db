"""The workloads in the Theano way: one source for LoopJAX, PyTensor and Aesara.

Each program takes the library, as ``aesara``, the values of its shared variables and its options, and returns a
compiled function. Nothing here imports JAX, since the other libraries have environments of their own.
"""
