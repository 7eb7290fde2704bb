"""PutBucketLifecycle, GetBucketLifecycle and DeleteBucketLifecycle. The rules are kept, but not executed.

See: https://help.aliyun.com/zh/oss/developer-reference/putbucketlifecycle and .../getbucketlifecycle
Each EC has a page of its own, such as https://help.aliyun.com/zh/oss/user-guide/0014-00000073
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from datetime import datetime
from xml.etree import ElementTree

from aiohttp import web

from localcloud.integers import parse_integer
from localcloud.oss_errors import OssError, malformed_xml, not_implemented
from localcloud.oss_request import OssRequest
from localcloud.oss_xml import parse_xml, read_body, xml_response

_MAX_BODY_BYTES = 2 * 2**20
_MAX_RULES = 1000
_MAX_DAYS = 2**31 - 1
_DAYS, _DATES = ("Days", "NoncurrentDays"), ("CreatedBeforeDate", "Date")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T00:00:00(\.0+)?Z", re.ASCII)
_ACTIONS = frozenset(
    {
        "Expiration",
        "Transition",
        "AbortMultipartUpload",
        "NoncurrentVersionExpiration",
        "NoncurrentVersionTransition",
    }
)
_CONDITIONS = frozenset({"ID", "Prefix", "Status", "Tag", "Filter", "AtimeBase"})


async def parse_lifecycle(request: web.Request) -> str:
    """Return the rules of the request as XML, each with an ID. Raise `OssError` if OSS would refuse them."""
    root = parse_xml(await read_body(request, _MAX_BODY_BYTES), "LifecycleConfiguration", "0014-00000011")
    if not 1 <= len(root) <= _MAX_RULES:
        raise malformed_xml("0014-00000011")
    for rule in root:
        if rule.tag != "Rule":
            raise malformed_xml("0014-00000015")
        _check_rule(rule)
    names = [name for rule in root if (name := rule.findtext("ID"))]
    if len(set(names)) < len(names):
        raise OssError(400, "InvalidArgument", "Rule ID must be unique.")
    for rule in root:
        if not rule.findtext("ID"):
            rule.insert(0, _new_id())
    return ElementTree.tostring(root, encoding="unicode")


async def get_lifecycle(request: OssRequest) -> web.Response:
    """Raise NoSuchLifecycle if the bucket has no rules."""
    rules = request.bucket.lifecycle
    if rules is None:
        raise OssError(404, "NoSuchLifecycle", "No Row found in Lifecycle Table.")
    return xml_response(rules)


def _check_rule(rule: ElementTree.Element) -> None:
    tags = {child.tag for child in rule}
    for tag in tags - _ACTIONS - _CONDITIONS:
        raise not_implemented(f"The element {tag} of a lifecycle rule", tag)
    if rule.findtext("Status") not in ("Enabled", "Disabled") or not tags & _ACTIONS:
        raise malformed_xml()
    for action in rule.findall("AbortMultipartUpload"):
        _check_abort([child.tag for child in action])
    for action in rule:
        if action.tag in _ACTIONS:
            _check_age(action)


def _check_age(action: ElementTree.Element) -> None:
    """Raise MalformedXML unless all days and dates of an action are valid. A date is the beginning of a day in UTC."""
    if not len(action):
        raise malformed_xml()
    for child in action:
        text = (child.text or "").strip()
        if child.tag in _DAYS and not parse_integer(text, _MAX_DAYS):
            raise malformed_xml()
        if child.tag in _DATES and not _is_date(text):
            raise malformed_xml()


def _is_date(text: str) -> bool:
    try:
        return bool(_DATE.fullmatch(text) and datetime.fromisoformat(text))
    except ValueError:
        return False


def _check_abort(tags: Iterable[str]) -> None:
    found = sorted(tags)
    if set(found) - {"Days", "CreatedBeforeDate"}:
        raise malformed_xml("0014-00000071")
    if not found:
        raise malformed_xml("0014-00000073")
    if len(found) > 1:
        raise malformed_xml("0014-00000074")


def _new_id() -> ElementTree.Element:
    element = ElementTree.Element("ID")
    element.text = str(uuid.uuid4())
    return element
