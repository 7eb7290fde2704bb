"""The steps of the command doctor, one module each."""
