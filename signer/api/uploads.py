"""`POST /v1/apps/{app_id}/uploads`: a full form, whose policy pins every fixed field."""

from functools import lru_cache

import orjson

from signer.api.upload_request import parse_upload_request
from signer.clock import rfc3339
from signer.http.reply import Reply
from signer.http.router import Handler
from signer.revision import Context
from signer.service import Service
from signer.signing.form import SignedUpload
from signer.signing.policy_document import PolicyHead
from signer.signing.upload_rules import MultipartRules


def upload_handler(service: Service) -> Handler:
    """Return the handler of `POST /v1/apps/{app_id}/uploads`."""

    async def create_upload(context: Context) -> Reply:
        request, login_code = await parse_upload_request(context.body, context.headers)
        if login_code is not None:
            context = context._replace(login_code=login_code)
        result = await service.sign_upload(context, request)
        return Reply(201, form_json(result.signed), allowance=result.allowance, session=result.caller.session)

    return create_upload


def form_json(upload: SignedUpload) -> bytes:
    """Return the form as JSON, in the shape of boto3's presigned POST and Uppy's upload parameters.

    See: https://boto3.amazonaws.com/v1/documentation/api/latest/reference/services/s3/client/generate_presigned_post.html
    """
    form_key = orjson.dumps(upload.form_key)
    return b"".join((
        _beginning(upload.head, upload.rules.url, upload.rules.max_size_bytes, upload.rules.multipart),
        upload.policy_tail,
        b'","x-oss-signature":"',
        upload.signature.encode(),
        b'",',
        orjson.dumps(upload.own_fields)[1:-1] + b"," if upload.own_fields else b"",
        b'"key":',
        form_key,
        b"}",
        b"" if upload.key is None else b',"key":' + form_key,
        b"" if upload.is_exact_key else b',"key_prefix":' + orjson.dumps(upload.key_prefix),
        b"}",
    ))  # fmt: skip


@lru_cache(maxsize=1024)
def _beginning(head: PolicyHead, url: str, max_size_bytes: int, multipart: MultipartRules | None) -> bytes:
    """Return the JSON that all forms with this head have in common, up to the tail of the policy.

    It is most of each response, and making it anew for each one takes as long as signing.
    """
    document = {
        "url": url,
        "method": "POST",
        "file_field": "file",
        "max_size": max_size_bytes,
        **({} if multipart is None else {"multipart_threshold": multipart.threshold_bytes}),
        "expires_at": rfc3339(head.expires_at),
        "fields": {**head.fields, "policy": head.base64},
    }
    return orjson.dumps(document).removesuffix(b'"}}')
