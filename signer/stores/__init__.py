"""Where definitions live."""
