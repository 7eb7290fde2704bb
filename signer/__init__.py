"""oss-signer: signs direct uploads from many WeChat mini-programs to Alibaba Cloud OSS."""

__version__ = "1.0.0"
