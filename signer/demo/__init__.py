"""`python run.py demo`: the signer beside a local cloud, and a page to upload from."""
