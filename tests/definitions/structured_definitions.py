"""Hypothesis strategies for definitions that are mostly valid: every key, sometimes with a random value."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.definitions.byte_mutations import LITERAL

SCALARS = st.sampled_from(
    [
        *(
            "photos",
            "Photos",
            "cn-hangzhou",
            "oss-cn-hangzhou",
            "r",
            "s",
            "a",
            "b",
            "app",
            "15m",
            "1h",
            "7d",
            "8d",
            "10MiB",
        ),
        *(
            "5/s",
            "0/s",
            "true",
            "uuid",
            "client",
            "{uuid}.{ext}",
            "{caller}/",
            "p/{app}/",
            "../",
            "/x",
            "",
            " ",
            "$x",
            "\u200b",
        ),
        *(
            "https://a.example.com",
            "http://a",
            "image/png",
            "image/*",
            "private",
            "${AK}",
            "${SECRET}",
            "${NO}",
            "${NO:-r}",
        ),
        *(
            "${file:/nowhere}",
            "acs:ram::1:role/x",
            LITERAL,
            "照片",
            "a" * 300,
            "127.0.0.1:0",
            "open",
            "api_key",
        ),
        *(0, 1, -1, 200, 201, 10**30, 1.5, True, False, None),
    ]
) | st.text(max_size=12)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS.map(str), inner, max_size=3)
)


def entry(keys: dict[str, list[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy for mostly valid values by key, sometimes with a random value or an unknown key."""
    known = st.fixed_dictionaries(
        {}, optional={key: st.sampled_from(good) | VALUES if good else VALUES for key, good in keys.items()}
    )
    return st.builds(lambda some, more: {**some, **more}, known, st.dictionaries(SCALARS.map(str), VALUES, max_size=1))


RATE_LIMIT = {"per_app": "5/s", "per_caller": "1/m"}
KEYS = {"type": "api_key", "keys": {"k": "0" * 64}}
APP: dict[str, list[Any]] = {
    "bucket": ["photos", "others"],
    "region": ["cn-hangzhou", "cn-shanghai"],
    "credentials": ["r", "s", "chained"],
    "name": ["Photo wall"],
    "enabled": [True, False],
    "domain": ["https://upload.example.com"],
    "key_prefix": ["", "p/", "p/{yyyy}/", "{app}/", "{caller}/"],
    "key": ["client", "uuid", "{filename}"],
    "expires": ["10m", 60],
    "min_size": [1, "1KiB"],
    "max_size": ["10MiB"],
    "content_types": [["image/png"], []],
    "success_status": [200, 204],
    "headers": [{"x-oss-object-acl": "private"}, {"x-oss-meta-a": "b"}],
    "conditions": [[["eq", "$x-oss-meta-a", "b"]], [{"a": "b"}]],
    "callers": [{"type": "open"}, KEYS],
    "rate_limit": [RATE_LIMIT, {}],
    "cors_origins": [["https://h5.example.com"], ["*"]],
    "callback": [{"url": "https://a.example.com", "body": "${object}"}],
    "generate_signature": [True],
}
ROLE = {"type": "assume_role", "role_arn": "acs:ram::1:role/x"}
CREDENTIALS: dict[str, list[Any]] = {
    "r": [{"type": "ecs_ram_role"}],
    "s": [{**ROLE, "access_key_id": "${AK}", "access_key_secret": "${SECRET}", "scope": "app"}],
    "chained": [{**ROLE, "source": "r"}, {**ROLE, "source": "chained"}, {**ROLE, "source": "s"}],
    "fixed": [{"type": "static", "access_key_id": "a", "access_key_secret": LITERAL}],
}
APPS = st.dictionaries(st.sampled_from(["a", "b", "app", "a b"]) | SCALARS.map(str), entry(APP) | VALUES, max_size=3)
DOCUMENT = st.fixed_dictionaries(
    {"version": st.just(1) | SCALARS, "credentials": entry(CREDENTIALS), "apps": APPS},
    optional={
        "defaults": entry(APP),
        "default_app": st.sampled_from(["a", "b"]) | VALUES,
        "server": entry({"listen": ["127.0.0.1:0", "0.0.0.0:5000"], "admin": ["127.0.0.1:9180"]}),
    },
)
