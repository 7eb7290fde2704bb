"""The rules of an app, and a moment, that several tests sign with."""

from datetime import UTC, datetime, timedelta

from signer.signing.object_key import KeyNaming, Template
from signer.signing.upload_rules import UploadRules

NOW = datetime(2026, 3, 9, 23, 59, 59, 900_000, tzinfo=UTC)
RULES = UploadRules(
    bucket="photos",
    region="cn-hangzhou",
    url="https://photos.oss-cn-hangzhou.aliyuncs.com",
    naming=KeyNaming(Template.parse("p/")),
    expires=timedelta(minutes=15),
    max_size_bytes=1000,
)
