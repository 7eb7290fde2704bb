"""The tests; see tests/harness for how they launch processes and wait."""
