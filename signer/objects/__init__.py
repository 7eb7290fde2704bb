"""Stored objects of callers: URLs that read them, and deletes."""
