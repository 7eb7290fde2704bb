"""Step `write` (only with --write): can phones put objects below each prefix.

It uploads a small object with a form, at the address that phones use. The object has a unique name, never overwrites
another one, and is deleted afterwards.
See: https://help.aliyun.com/zh/oss/developer-reference/postobject
"""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import alibabacloud_oss_v2 as oss

from signer.definitions.registry import App
from signer.doctor.findings import Finding, Subject
from signer.doctor.http_probe import NoResponse
from signer.doctor.oss_probe import OssProbe, OssRefusal, unique_name
from signer.doctor.plan import PrefixUse
from signer.doctor.public_address import address_failure
from signer.doctor.remedies import grant
from signer.signing.form import Forms, SignedUpload
from signer.signing.object_key import KeyNaming
from signer.signing.upload_rules import UploadRequest
from signer.signing.v4 import Credential

_CALLER_ID = "oss-signer-doctor"
_CONTENT = b"\n"


async def check_write(
    client: OssProbe, subject: Subject, prefix: PrefixUse, app: App, writer: Credential, deleter: Credential | None
) -> Finding:
    """Upload below the prefix as `app` would, signed with the credential `writer`, and delete it with either one."""
    use, url = prefix.use, client.endpoint.public_url(prefix.use, prefix.url)
    form = _form(app, writer)
    key = form.key_prefix + unique_name()
    fields = {"x-oss-forbid-overwrite": "true", **form.fields, "key": key}
    fix_by_hand = f"delete it with an account that may: ossutil rm oss://{use.bucket}/{key}"
    credentials = [writer] if deleter is None else [writer, deleter]
    try:
        version_id = await client.post_object(f"{url}/", fields, _CONTENT)
        failure = await _delete(client, prefix, url, key, version_id, credentials)
    except OssRefusal as refusal:
        return subject.failed(*_refused(prefix, refusal))
    except NoResponse as error:
        # OSS may have stored the object although the response is missing.
        failure = await _delete(client, prefix, url, key, None, credentials)
        fix = f"check the address that phones use from this machine: curl -sI {prefix.url}"
        if failure is None:
            return subject.failed(f"{prefix.url} {error}", fix)
        return subject.failed(f"{prefix.url} {error}; the object may exist ({failure})", f"{fix}\n{fix_by_hand}")
    except asyncio.CancelledError:
        # The time limit or Ctrl-C. OSS may have stored the object.
        await _delete(client, prefix, url, key, None, credentials)
        raise
    if failure is not None:
        what = f"the role may put objects there, but no credential could delete the one of this step ({failure})"
        return subject.warning(what, fix_by_hand)
    return subject.ok(f"the role may put objects there, through {prefix.url}")


def _form(app: App, credential: Credential) -> SignedUpload:
    """Return a form of the app that accepts any name and one byte, without the callback to the app's server."""
    conditions = tuple(each for each in app.rules.conditions if isinstance(each, list) and each[0] == "eq")
    rules = replace(
        app.rules,
        naming=KeyNaming(app.rules.naming.prefix),
        min_size_bytes=len(_CONTENT),
        conditions=conditions,
        callback=None,
    )
    request = UploadRequest(content_type=next(iter(rules.content_types), None))
    return Forms(app.id, rules).full_form(request, caller=_CALLER_ID, credential=credential, now=datetime.now(UTC))


def _refused(prefix: PrefixUse, refusal: OssRefusal) -> tuple[str, str]:
    """Return what the refusal means, and the fix."""
    use = prefix.use
    if (failure := address_failure(use, prefix.url, refusal)) is not None:
        return failure
    if refusal.is_denied:
        resource = f"acs:oss:*:*:{use.bucket}/{prefix.fixed}*"
        fix = grant(f"credentials.{use.role}", "oss:PutObject", resource)
        return f"the role may not put objects there ({refusal})", fix
    return str(refusal), refusal.help_url


async def _delete(
    client: OssProbe, prefix: PrefixUse, url: str, key: str, version_id: str | None, credentials: list[Credential]
) -> str | None:
    """Delete the object, or its version in a versioned bucket. Return why it remains, or None if it is deleted.

    A proxy or CDN at the public address may not pass DELETE on, so the region's endpoint is used, too.
    """
    failure = ""
    request = oss.DeleteObjectRequest(bucket=prefix.use.bucket, key=key, version_id=version_id)
    for address in (url, None):
        for credential in credentials:
            try:
                await client.call(prefix.use, credential, lambda sdk: sdk.delete_object(request), url=address)
            except (OssRefusal, NoResponse) as error:
                failure = failure or str(error)
            else:
                return None
    return failure
