"""Fetch the credentials of roles, keep them fresh, and watch this machine's clock."""
