"""Loops that store less for their gradient."""
