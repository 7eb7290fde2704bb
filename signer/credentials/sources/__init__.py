"""The sources of credentials: one module for each `type` of `credentials:`."""
