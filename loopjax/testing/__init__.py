"""Checks for users' own programs: ``verify_grad`` compares a gradient with finite differences."""
