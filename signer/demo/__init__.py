"""The demo: definitions on a local cloud, and a page to upload from."""
