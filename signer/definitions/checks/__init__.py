"""Checks of values that are valid by themselves but not together, by topic."""
