"""The definitions that the signer is measured with."""

from __future__ import annotations

from pathlib import Path

from bench.processes import Cloud

OPEN, WECHAT, UPLOADS = f"wx{0:016d}", "wechat", "uploads"
WECHAT_SECRET = "bench-app-secret"  # noqa: S105
FILES = 100

_HEAD = 'version: 1\nserver: {listen: "127.0.0.1:0", admin: "127.0.0.1:0"}\n'
_ROLE = "credentials:\n  uploader: {{type: ecs_ram_role, endpoint: {metadata}}}\n"
_DEFAULTS = "defaults: {region: cn-hangzhou, credentials: uploader}\n"
_APP = """\
  wx{number:016d}:
    name: App {number}
    bucket: photos-{number}
    key_prefix: photos/{{yyyy}}/{{mm}}/
    expires: {expires}
    max_size: 10MiB
    headers: {{x-oss-object-acl: private}}
    cors_origins: ["https://h{number}.example.com"]
"""
_EXACT = """\
  wechat:
    bucket: photos-0
    key_prefix: photos/{{caller}}/{{yyyy}}/{{mm}}/
    key: "{{uuid}}.{{ext}}"
    max_size: 10MiB
    headers: {{x-oss-object-acl: private, x-oss-forbid-overwrite: "true"}}
    callers: {{type: wechat, secret: {secret}, endpoint: {wechat}}}
  uploads:
    bucket: photos-0
    key_prefix: photos/{{yyyy}}/{{mm}}/
    key: "{{uuid}}.{{ext}}"
    max_size: 10MiB
    content_types: [image/jpeg, image/png]
    headers: {{x-oss-object-acl: private, x-oss-forbid-overwrite: "true"}}
"""


def open_app(number: int) -> str:
    """Return the id of one of the apps that need no caller."""
    return f"wx{number:016d}"


def usual(cloud: Cloud, apps: int = 10) -> str:
    """So many apps, with `wechat` and `uploads` among them, that sign with one role of the instance."""
    exact = _EXACT.format(secret=WECHAT_SECRET, wechat=cloud.wechat)
    return _HEAD + _ROLE.format(metadata=cloud.metadata) + _DEFAULTS + "apps:\n" + _open_apps(range(apps - 2)) + exact


def busy(cloud: Cloud, directory: Path, *, apps: int, roles: int, expires_seconds: int) -> list[Path]:
    """The same apps and more in many files, other roles of short tokens, and an audit log; the files with the apps."""
    entries = "".join(
        f'  r{n}: {{type: assume_role, role_arn: "acs:ram::1234567890123456:role/r{n}", endpoint: "{cloud.sts}", '
        "min_remaining: 1s, session_name: run-0}\n"
        for n in range(roles)
    )
    users = "".join(
        f"  r{n}: {{bucket: photos-0, credentials: r{n}, expires: {expires_seconds}s}}\n" for n in range(roles)
    )
    head = _HEAD + f"audit: {directory / 'audit.log'}\n" + _ROLE.format(metadata=cloud.metadata) + entries + _DEFAULTS
    (directory / "main.yaml").write_text(f"{head}apps:\n{users}", encoding="utf-8")
    files = [directory / f"apps-{number:03d}.yaml" for number in range(FILES)]
    for number, file in enumerate(files):
        file.write_text("apps:\n" + _open_apps(range(number, apps - roles, FILES)), encoding="utf-8")
    return files


def with_roles(cloud: Cloud, roles: int) -> str:
    """An app for each of so many roles."""
    entries = "".join(
        f'  r{n}: {{type: assume_role, role_arn: "acs:ram::1234567890123456:role/r{n}", endpoint: "{cloud.sts}"}}\n'
        for n in range(roles)
    )
    apps = "".join(_APP.format(number=n, expires="10m") + f"    credentials: r{n}\n" for n in range(roles))
    return f"{_HEAD}credentials:\n{entries}defaults: {{region: cn-hangzhou}}\napps:\n{apps}"


def _open_apps(numbers: range) -> str:
    return "".join(_APP.format(number=number, expires="10m") for number in numbers)
