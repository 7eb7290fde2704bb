"""Where credentials come from: one module for each `type` of `credentials:`."""
