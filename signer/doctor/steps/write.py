"""Step `write` (only with --write): may the role put objects below each prefix.

It puts an empty object with a unique name, never overwrites, and deletes the object afterwards.
"""

import asyncio
from datetime import UTC, datetime

import alibabacloud_oss_v2 as oss

from signer.definitions.registry import App
from signer.doctor.findings import Finding, Subject
from signer.doctor.http_probe import NoResponse
from signer.doctor.oss_probe import OssProbe, OssRefusal, unique_name
from signer.doctor.plan import PrefixUse
from signer.doctor.remedies import grant
from signer.signing.v4 import Credential

_CALLER_ID = "oss-signer-doctor"


async def check_write(
    client: OssProbe, subject: Subject, prefix: PrefixUse, app: App, writer: Credential, deleter: Credential | None
) -> Finding:
    """Put an object below the prefix as `app` would, with the credential `writer`, and delete it with either one."""
    use = prefix.use
    key_prefix, _ = app.rules.naming.keys(app_id=app.id, caller=_CALLER_ID, filename="doctor", now=datetime.now(UTC))
    key = key_prefix + unique_name()
    fix_by_hand = f"delete it with an account that may: ossutil rm oss://{use.bucket}/{key}"
    request = oss.PutObjectRequest(bucket=use.bucket, key=key, body=b"", forbid_overwrite=True)
    credentials = [writer] if deleter is None else [writer, deleter]
    try:
        stored = await client.call(use, writer, lambda sdk: sdk.put_object(request))
        failure = await _delete(client, prefix, key, stored.version_id, credentials)
    except OssRefusal as refusal:
        if refusal.is_denied:
            resource = f"acs:oss:*:*:{use.bucket}/{prefix.fixed}*"
            fix = grant(f"credentials.{use.role}", "oss:PutObject", resource)
            return subject.failed(f"the role may not put objects there ({refusal})", fix)
        return subject.failed(str(refusal), refusal.help_url)
    except NoResponse as error:
        # OSS may have stored the object although the response is missing.
        failure = await _delete(client, prefix, key, None, credentials)
        remains = "" if failure is None else f"; the empty object may exist ({failure})"
        return subject.failed(f"{error}{remains}", fix_by_hand)
    except asyncio.CancelledError:
        # The time limit or Ctrl-C. OSS may have stored the object.
        await _delete(client, prefix, key, None, credentials)
        raise
    if failure is not None:
        what = f"the role may put objects there, but no credential could delete the empty one ({failure})"
        return subject.warning(what, fix_by_hand)
    return subject.ok("the role may put objects there")


async def _delete(
    client: OssProbe, prefix: PrefixUse, key: str, version_id: str | None, credentials: list[Credential]
) -> str | None:
    """Delete the object, or its version in a versioned bucket. Return why it remains, or None if it is gone."""
    failure = ""
    request = oss.DeleteObjectRequest(bucket=prefix.use.bucket, key=key, version_id=version_id)
    for credential in credentials:
        try:
            await client.call(prefix.use, credential, lambda sdk: sdk.delete_object(request))
        except (OssRefusal, NoResponse) as error:
            failure = str(error)
        else:
            return None
    return failure
