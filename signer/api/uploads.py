"""`POST /v1/apps/{app_id}/uploads`: a full form, whose policy pins every fixed field."""

from typing import Any

from signer.api.upload_request import parse_upload_request
from signer.clock import rfc3339
from signer.http.reply import Reply, json_reply
from signer.http.router import Handler
from signer.revision import Context
from signer.service import Service
from signer.signing.form import SignedUpload


def upload_handler(service: Service) -> Handler:
    """Return the handler of `POST /v1/apps/{app_id}/uploads`."""

    async def create_upload(context: Context) -> Reply:
        request, login_code = await parse_upload_request(context.body, context.headers)
        if login_code is not None:
            context = context._replace(login_code=login_code)
        result = await service.sign_upload(context, request)
        document = form_document(result.signed)
        return json_reply(document, 201, allowance=result.allowance, session=result.caller.session)

    return create_upload


def form_document(upload: SignedUpload) -> dict[str, Any]:
    """Return the form as JSON members, in the shape of boto3's presigned POST and Uppy's upload parameters.

    See: https://boto3.amazonaws.com/v1/documentation/api/latest/reference/services/s3/client/generate_presigned_post.html
    """
    return {
        "url": upload.url,
        "method": "POST",
        "fields": upload.fields,
        "file_field": "file",
        **({"key_prefix": upload.key_prefix} if upload.key is None else {"key": upload.key}),
        "expires_at": rfc3339(upload.expires_at),
        "max_size": upload.max_size_bytes,
    }
