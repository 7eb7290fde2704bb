"""A local cloud for development and tests: ECS metadata, STS, OSS and WeChat on loopback.

It is written from their documentation and shares no code with the signer, so that it can judge the signer.
"""
