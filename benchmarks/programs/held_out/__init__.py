"""Programs of the held-out workloads, one file per kind."""
