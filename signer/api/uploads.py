"""`POST /v1/apps/{app_id}/uploads`: full forms, whose policies pin every fixed field, or presigned PUTs."""

from collections.abc import Sequence

import orjson

from signer.api.json_body import with_code
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
from signer.signing.put_object import SignedPut


def upload_handler(service: Service) -> Handler:
    """Return the handler of `POST /v1/apps/{app_id}/uploads`."""

    async def create_upload(context: Context) -> Reply:
        request, login_code = await parse_upload_request(context.body, context.headers)
        context = with_code(context, login_code)
        if isinstance(request, UploadBatch):
            batch = await service.batches.sign(context, request.files)
            body = batch_json(batch.results, context.request_id, is_compact=request.is_compact)
            return Reply(200, body, allowance=batch.allowance, session=batch.caller.session)
        result = await service.sign_upload(context, request)
        body = put_json(result.signed) if isinstance(result.signed, SignedPut) else form_json(result.signed)
        return Reply(201, body, allowance=result.allowance, session=result.caller.session)

    return create_upload


def batch_json(results: Sequence[SignedFile | Problem], request_id: str, *, is_compact: bool) -> bytes:
    """Return the form, PUT or problem of each file; compact forms have only the fields that `common_fields` lacks."""
    parts = [b"{"]
    if is_compact:
        fields = next((each.head.base_fields for each in results if isinstance(each, SignedUpload)), {})
        parts += b'"common_fields":', orjson.dumps(fields), b","
    parts.append(b'"uploads":[')
    for each in results:
        if isinstance(each, SignedUpload):
            parts += _form_parts(each, is_compact)
        elif isinstance(each, SignedPut):
            parts.append(put_json(each))
        else:
            parts.append(orjson.dumps(problem_document(each, request_id)))
        parts.append(b",")
    parts[-1] = b"]}"
    return b"".join(parts)


def put_json(put: SignedPut) -> bytes:
    """Return a presigned PUT as JSON."""
    return orjson.dumps({
        "method": "PUT",
        "url": put.url,
        "headers": put.headers,
        "key": put.key,
        "expires_at": rfc3339(put.expires_at),
    })  # fmt: skip


def form_json(upload: SignedUpload) -> bytes:
    """Return the form as JSON, in the shape of boto3's presigned POST and Uppy's upload parameters.

    See: https://boto3.amazonaws.com/v1/documentation/api/latest/reference/services/s3/client/generate_presigned_post.html
    """
    return b"".join(_form_parts(upload, is_compact=False))


def _form_parts(upload: SignedUpload, is_compact: bool) -> tuple[bytes, ...]:
    beginning = upload.head.serialized.get(is_compact) or _beginning(upload, is_compact)
    signature, key = upload.signature.encode(), orjson.dumps(upload.key or upload.form_key)
    return (
        beginning,
        upload.policy_tail,
        b'","x-oss-signature":"',
        signature,
        b'",' + orjson.dumps(upload.own_fields)[1:-1] + b',"key":' if upload.own_fields else b'","key":',
        key,
        b'},"key":' if upload.key is not None else b"}",
        key if upload.key is not None else b"",
        b"}" if upload.is_exact_key and upload.size_bytes is None else _ending(upload),
    )


def _ending(upload: SignedUpload) -> bytes:
    size = b"" if upload.size_bytes is None else b',"max_size":%d' % upload.size_bytes
    prefix = b"" if upload.is_exact_key else b',"key_prefix":' + orjson.dumps(upload.key_prefix)
    return size + prefix + b"}"


def _beginning(upload: SignedUpload, is_compact: bool) -> bytes:
    """Return the JSON that all forms with this head have in common, up to the tail of the policy.

    It is most of each response, and making it again for each one takes as long as signing.
    """
    head, rules = upload.head, upload.rules
    shared = head.base_fields if is_compact else {}
    document = {
        "url": rules.url,
        "method": "POST",
        "file_field": "file",
        # Where bytes are limited, each form has another one.
        **({} if rules.counts_bytes else {"max_size": rules.max_size_bytes}),
        **({} if rules.multipart is None else {"multipart_threshold": rules.multipart.threshold_bytes}),
        "expires_at": rfc3339(head.expires_at),
        "fields": {**{name: value for name, value in head.fields.items() if name not in shared}, "policy": head.base64},
    }
    head.serialized[is_compact] = beginning = orjson.dumps(document).removesuffix(b'"}}')
    return beginning
