"""The status page, and the same state as JSON."""
