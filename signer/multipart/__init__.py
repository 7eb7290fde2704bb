"""Multipart uploads: the signer starts and completes them at OSS, and clients send the parts."""
