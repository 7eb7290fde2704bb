"""Limit request rates with token buckets, in this process or in a Redis that several signers share."""
