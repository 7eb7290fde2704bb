"""The rules that buckets need: CORS for web pages, and a lifecycle for the parts of abandoned uploads.

Rules are values as in OSS's XML: a mapping's keys are elements, and a list is one element repeated.

See: https://help.aliyun.com/zh/oss/developer-reference/putbucketcors
See: https://help.aliyun.com/zh/oss/developer-reference/putbucketlifecycle
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any
from xml.sax.saxutils import escape

Rules = Mapping[str, Any]


def cors_rules(origins: Sequence[str], methods: Sequence[str]) -> Rules:
    """Return the rule that uploads from pages of these origins need."""
    rule = {
        "AllowedOrigin": [*origins],
        "AllowedMethod": [*methods],
        "AllowedHeader": ["*"],
        "ExposeHeader": ["ETag", "x-oss-request-id"],
        "MaxAgeSeconds": 600,
    }
    return {"CORSConfiguration": {"CORSRule": [rule]}}


def days_until_abandoned(lifetimes: Iterable[timedelta]) -> int:
    """Return after how many days no upload can be continued any more; `lifetimes` are how long each can."""
    return max([2, *(lifetime.days + 1 for lifetime in lifetimes)])


def lifecycle_rules(prefixes: Sequence[str], days: int) -> Rules:
    """Return the rules that delete the parts of abandoned uploads below the prefixes after some days."""
    rules = [
        {
            "ID": f"abandoned-parts-{number}",
            "Prefix": prefix,
            "Status": "Enabled",
            "AbortMultipartUpload": {"Days": days},
        }
        for number, prefix in enumerate(prefixes, 1)
    ]
    return {"LifecycleConfiguration": {"Rule": rules}}


def as_xml(rules: Rules) -> str:
    """Return the rules as OSS's XML, on one line."""
    return "".join(_elements(rules))


def _elements(value: Mapping[str, Any]) -> Iterator[str]:
    for name, content in value.items():
        for each in content if isinstance(content, list) else [content]:
            inner = as_xml(each) if isinstance(each, Mapping) else escape(str(each))
            yield f"<{name}>{inner}</{name}>"
