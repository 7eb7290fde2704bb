"""A local Alibaba Cloud for development and tests: ECS metadata, STS and OSS on loopback. And WeChat.

Written from their documentation and from nothing of the signer's, so that it can judge the signer.
"""
