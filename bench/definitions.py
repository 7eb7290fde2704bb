"""The definitions that the signer is measured with."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from bench.processes import Cloud

OPEN, WECHAT, UPLOADS = f"wx{0:016d}", "wechat", "uploads"
WECHAT_SECRET = "bench-app-secret"  # noqa: S105
FILES = 100

_HEAD = 'version: 1\nserver: {listen: "127.0.0.1:0", admin: "127.0.0.1:0"}\n'
_INSTANCE_ROLE = "credentials:\n  uploader: {{type: ecs_ram_role, endpoint: {metadata}}}\n"
_DEFAULTS = "defaults: {region: cn-hangzhou, credentials: uploader}\n"
_OPEN_APP = """\
  wx{number:016d}:
    name: App {number}
    bucket: photos-{number}
    key_prefix: photos/{{yyyy}}/{{mm}}/
    expires: 10m
    max_size: 10MiB
    headers: {{x-oss-object-acl: private}}
    cors_origins: ["https://h{number}.example.com"]
"""
_EXACT_KEY_APPS = """\
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
    """Return definitions with this many apps, `wechat` and `uploads` among them, and the role of an instance."""
    exact = _EXACT_KEY_APPS.format(secret=WECHAT_SECRET, wechat=cloud.wechat)
    role = _INSTANCE_ROLE.format(metadata=cloud.metadata)
    return f"{_HEAD}{role}{_DEFAULTS}apps:\n{_open_apps(range(apps - 2))}{exact}"


def busy(cloud: Cloud, directory: Path, *, apps: int, roles: int, expires_seconds: int) -> list[Path]:
    """Write definitions with many apps in many files, roles with short tokens, and an audit log.

    Returns:
        The files with the apps.
    """
    entries = "".join(_role(cloud, number, ", min_remaining: 1s, session_name: run-0") for number in range(roles))
    users = "".join(
        f"  r{n}: {{key_prefix: '', bucket: photos-0, credentials: r{n}, expires: {expires_seconds}s}}\n"
        for n in range(roles)
    )
    role = _INSTANCE_ROLE.format(metadata=cloud.metadata)
    head = f"{_HEAD}audit: {directory / 'audit.log'}\n{role}{entries}{_DEFAULTS}apps:\n{users}"
    (directory / "main.yaml").write_text(head, encoding="utf-8")
    return write_apps(directory, _OPEN_APP, apps - roles)


def with_roles(cloud: Cloud, roles: int) -> str:
    """Return definitions with this many roles and an app for each."""
    entries = "".join(_role(cloud, number) for number in range(roles))
    apps = "".join(_OPEN_APP.format(number=n) + f"    credentials: r{n}\n" for n in range(roles))
    return f"{_HEAD}credentials:\n{entries}defaults: {{region: cn-hangzhou}}\napps:\n{apps}"


def write_apps(directory: Path, template: str, apps: int) -> list[Path]:
    """Distribute apps over at most `FILES` files and return the files; `{number}` in the template is the app's."""
    files = [directory / f"apps-{number:03d}.yaml" for number in range(min(FILES, apps))]
    for number, file in enumerate(files):
        texts = [template.format(number=each) for each in range(number, apps, len(files))]
        file.write_text("apps:\n" + "".join(texts), encoding="utf-8")
    return files


def edit(file: Path, pattern: str, text: str, *, count: int = 0) -> None:
    """Replace `count` matches in a file, 0 for all, as editors do: a new file replaces the old one."""
    temporary = file.with_suffix(".new")
    temporary.write_text(re.sub(pattern, text, file.read_text(encoding="utf-8"), count=count), encoding="utf-8")
    temporary.replace(file)


def _role(cloud: Cloud, number: int, options: str = "") -> str:
    arn = f"acs:ram::1234567890123456:role/r{number}"
    return f'  r{number}: {{type: assume_role, role_arn: "{arn}", endpoint: "{cloud.sts}"{options}}}\n'


def _open_apps(numbers: Iterable[int]) -> str:
    return "".join(_OPEN_APP.format(number=number) for number in numbers)
