"""PyTensor programs and PyMC models, by LoopJAX and PyTensor's own modes: ``python -m benchmarks.pytensor``."""
