"""The places that credentials come from, one module each."""
