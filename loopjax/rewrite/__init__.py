"""Rewrites: a valid graph in, an equivalent valid graph out."""
