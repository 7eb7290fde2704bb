"""The owner of buckets and objects, and the documents that show it."""

from __future__ import annotations

from aiohttp import web

from localcloud.oss_xml import elements, xml_response
from localcloud.world import DEFAULT_ACCOUNT

OWNER = f"<Owner>{elements({'ID': DEFAULT_ACCOUNT, 'DisplayName': DEFAULT_ACCOUNT})}</Owner>"


def access_control_policy(acl: str) -> web.Response:
    """Return the body of GetObjectAcl and GetBucketAcl."""
    grant = f"<AccessControlList>{elements({'Grant': acl})}</AccessControlList>"
    return xml_response(f"<AccessControlPolicy>{OWNER}{grant}</AccessControlPolicy>")
