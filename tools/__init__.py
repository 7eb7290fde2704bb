"""Generators of documentation; not shipped with the signer."""
