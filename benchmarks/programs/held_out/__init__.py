"""Programs of the held-out workloads, one file per kind: samplers, filters, dynamic programming, networks, simulation
and time series."""
