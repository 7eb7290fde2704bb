"""Step `write`, with --write: may the role put objects below each prefix.

It puts an object of no bytes under a name that nobody else makes, never over another one, and removes it again.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import alibabacloud_oss_v2 as oss

from signer.definitions.registry import App
from signer.doctor.findings import About, Finding
from signer.doctor.http_probe import NoAnswer
from signer.doctor.oss_probe import Oss, Refused, made_up_name
from signer.doctor.plan import Ids, PrefixUse
from signer.doctor.remedies import grant
from signer.signing.v4 import Credential

_CALLER = "oss-signer-doctor"


async def write(
    client: Oss, each: PrefixUse, app: App, apps: Ids, credential: Credential, removing: Credential | None
) -> Finding:
    """`app` is one of `apps`. `removing` is tried where the token that wrote may not remove."""
    use = each.use
    about = About("write", str(each), apps)
    prefix, _ = app.rules.naming.keys(app_id=app.id, caller=_CALLER, filename="doctor", now=datetime.now(UTC))
    key = prefix + made_up_name()
    put = oss.PutObjectRequest(bucket=use.bucket, key=key, body=b"", forbid_overwrite=True)
    try:
        stored = await client.call(use, credential, lambda asked: asked.put_object(put))
        left = await _left(client, each, key, stored.version_id, [credential, removing])
    except Refused as refused:
        if refused.denied:
            return about.failed(f"the role may not put objects there ({refused})", _mend(each))
        return about.failed(str(refused), f"https://api.aliyun.com/troubleshoot?q={refused.ec or refused.code}")
    except NoAnswer as error:
        left = await _left(client, each, key, None, [credential, removing])
        there = "" if left is None else f"; the empty object may be there all the same ({left})"
        return about.failed(f"{error}{there}", _by_hand(use.bucket, key))
    except asyncio.CancelledError:
        # Time is up, or somebody pressed Ctrl-C; it may have been stored all the same.
        await _left(client, each, key, None, [credential, removing])
        raise
    if left is not None:
        what = f"the role may put objects there, but nobody could remove the empty one it made ({left})"
        return about.warning(what, _by_hand(use.bucket, key))
    return about.ok("the role may put objects there")


async def _left(
    client: Oss, each: PrefixUse, key: str, version_id: str | None, credentials: list[Credential | None]
) -> str | None:
    """Removes it, where its bucket keeps versions that very one; else why it is still there."""
    left = ""
    request = oss.DeleteObjectRequest(bucket=each.use.bucket, key=key, version_id=version_id)
    for credential in credentials:
        if credential is None:
            continue
        try:
            await client.call(each.use, credential, lambda asked: asked.delete_object(request))
        except (Refused, NoAnswer) as error:
            left = str(error)
        else:
            return None
    return left


def _mend(each: PrefixUse) -> str:
    resource = f"acs:oss:*:*:{each.use.bucket}/{each.fixed}*"
    return grant(f"credentials.{each.use.role}", "oss:PutObject", resource)


def _by_hand(bucket: str, key: str) -> str:
    return f"remove it with another account's right: ossutil rm oss://{bucket}/{key}"
