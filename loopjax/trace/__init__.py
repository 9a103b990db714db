"""Recording: what users call becomes a graph."""
