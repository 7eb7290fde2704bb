"""Identify the caller of a request: one module for each `type` of `callers:`."""
