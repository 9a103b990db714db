"""Calibration of the cost model: ``python -m loopjax.calibrate``.

Enters: a backend. Leaves: the table of constants that ``rewrite/cost_model.py`` reads, each with its residual, and the
regret of the decisions made from it on generated loops.
"""
