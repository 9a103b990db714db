"""The runtime: ``function``, its cache of executables keyed by shapes, dispatch of calls, commit of shared state.

Enters: inputs, outputs and updates. Leaves: a callable that converts its arguments, finds or compiles the program for
their shapes and lengths, runs it, and commits shared state. ``compiler`` holds the whole pipeline.
"""
