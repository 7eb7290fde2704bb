"""Pure functions that name, restrict and sign an upload; no I/O."""
