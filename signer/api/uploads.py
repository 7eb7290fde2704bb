"""`POST /v1/apps/{app_id}/uploads`: full forms, whose policies pin every fixed field, or presigned PUTs."""

from collections.abc import Sequence
from functools import lru_cache

import orjson

from signer.api.upload_request import UploadBatch, parse_upload_request
from signer.batches import SignedFile
from signer.clock import rfc3339
from signer.errors import Problem
from signer.http.problem_reply import problem_document
from signer.http.reply import Reply
from signer.http.router import Handler
from signer.revision import Context
from signer.service import Service
from signer.signing.form import SignedUpload
from signer.signing.policy_document import PolicyHead
from signer.signing.put_object import SignedPut
from signer.signing.upload_rules import MultipartRules


def upload_handler(service: Service) -> Handler:
    """Return the handler of `POST /v1/apps/{app_id}/uploads`."""

    async def create_upload(context: Context) -> Reply:
        request, login_code = await parse_upload_request(context.body, context.headers)
        if login_code is not None:
            context = context._replace(login_code=login_code)
        if isinstance(request, UploadBatch):
            batch = await service.batches.sign(context, request.files)
            body = batch_json(batch.results, context.request_id, is_compact=request.is_compact)
            return Reply(200, body, allowance=batch.allowance, session=batch.caller.session)
        result = await service.sign_upload(context, request)
        return Reply(201, upload_json(result.signed), allowance=result.allowance, session=result.caller.session)

    return create_upload


def batch_json(results: Sequence[SignedFile | Problem], request_id: str, *, is_compact: bool) -> bytes:
    """Return the form, PUT or problem of each file; compact forms have only the fields that `common_fields` lacks."""
    uploads = b",".join([
        orjson.dumps(problem_document(each, request_id))
        if isinstance(each, Problem)
        else upload_json(each, is_compact=is_compact)
        for each in results
    ])  # fmt: skip
    common = b""
    if is_compact:
        fields = next((each.head.fields for each in results if isinstance(each, SignedUpload)), {})
        common = b'"common_fields":' + orjson.dumps(fields) + b","
    return b"".join((b"{", common, b'"uploads":[', uploads, b"]}"))


def upload_json(signed: SignedFile, *, is_compact: bool = False) -> bytes:
    """Return what a client needs to upload one file."""
    return put_json(signed) if isinstance(signed, SignedPut) else form_json(signed, is_compact=is_compact)


def put_json(put: SignedPut) -> bytes:
    """Return a presigned PUT as JSON."""
    return orjson.dumps({
        "method": "PUT",
        "url": put.url,
        "headers": put.headers,
        "key": put.key,
        "expires_at": rfc3339(put.expires_at),
    })  # fmt: skip


def form_json(upload: SignedUpload, *, is_compact: bool = False) -> bytes:
    """Return the form as JSON, in the shape of boto3's presigned POST and Uppy's upload parameters.

    See: https://boto3.amazonaws.com/v1/documentation/api/latest/reference/services/s3/client/generate_presigned_post.html
    """
    form_key = orjson.dumps(upload.form_key)
    return b"".join((
        _beginning(upload.head, upload.rules.url, upload.rules.max_size_bytes, upload.rules.multipart, is_compact),
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
def _beginning(
    head: PolicyHead, url: str, max_size_bytes: int, multipart: MultipartRules | None, is_compact: bool
) -> bytes:
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
        "fields": {**({} if is_compact else head.fields), "policy": head.base64},
    }
    return orjson.dumps(document).removesuffix(b'"}}')
