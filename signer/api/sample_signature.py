"""`GET /generate_signature`: the endpoint of Alibaba's sample server, for clients that build the form themselves.

See: https://help.aliyun.com/document_detail/92883.html
"""

import re
from dataclasses import dataclass
from functools import lru_cache

import orjson
from multidict import MultiMapping

from signer.clock import rfc3339
from signer.definitions.registry import Registry
from signer.errors import InvalidRequest
from signer.http.reply import Reply
from signer.http.router import Handler
from signer.request_context import check_parameters, parse_query
from signer.revision import Context
from signer.service import Service
from signer.signing.form import SignedUpload
from signer.signing.policy_document import PolicyHead
from signer.signing.upload_rules import EMPTY_REQUEST, UploadRequest

_MAX_CACHED_TARGET_CHARACTERS = 256
_MAX_FILENAME_CHARACTERS = 1024

_REFERER = re.compile(
    r"https://(?:servicewechat\.com/|tmaservice\.developer\.toutiao\.com/?\?appid=|\w{1,64}\.hybrid\.alipay-eco\.com/)"
    r"([A-Za-z0-9_-]{1,64})[/&]"
)
"""The Referer of mini-programs on WeChat, Douyin and Alipay, with the app id."""
_SIZE = re.compile(r"[0-9]{1,16}", re.ASCII)


def sample_signature_handler(service: Service) -> Handler:
    """Return the handler of `GET /generate_signature`."""

    async def sample_signature(context: Context) -> Reply:
        request = sample_query(context.target).upload_request()
        result = await service.sign_upload(context, request, sample=True)
        upload = result.signed
        if upload.response_body is None:  # several clients may get the same upload, so its bytes are kept with it
            upload.response_body = sample_json(upload)
        return Reply(200, upload.response_body, allowance=result.allowance, session=result.caller.session)

    return sample_signature


@dataclass(frozen=True, slots=True)
class SampleQuery:
    """The query of the sample endpoint; every parameter is optional."""

    app_id: str | None
    filename: str | None
    content_type: str | None
    size: str | None

    def upload_request(self) -> UploadRequest:
        """Return what the client wants to upload, or raise `InvalidRequest` for a malformed parameter."""
        if self.filename is None and self.content_type is None and self.size is None:
            return EMPTY_REQUEST
        if self.size is not None and not _SIZE.fullmatch(self.size):
            raise InvalidRequest("size is not a whole number of bytes; send for example size=1024")
        if self.filename is not None and len(self.filename) > _MAX_FILENAME_CHARACTERS:
            raise InvalidRequest(f"filename is longer than {_MAX_FILENAME_CHARACTERS} characters; shorten it")
        return UploadRequest(self.filename, self.content_type, None if self.size is None else int(self.size))


def sample_query(target: str) -> SampleQuery:
    """Parse the query of a request to the sample endpoint; clients send the same ones again and again.

    Raises `InvalidRequest` if a parameter is not UTF-8 or occurs twice.
    """
    return _cached_query(target) if len(target) <= _MAX_CACHED_TARGET_CHARACTERS else _parse_query(target)


def _parse_query(target: str) -> SampleQuery:
    query = parse_query(target)
    check_parameters(query, ("app_id", "filename", "content_type", "size"))
    return SampleQuery(
        query.get("app_id") or None, query.get("filename") or None, query.get("content_type") or None, query.get("size")
    )


_cached_query = lru_cache(maxsize=4096)(_parse_query)


def app_of_sample_request(_parameter: str, target: str, headers: MultiMapping[str], registry: Registry) -> str | None:
    """Return the app id of a request: `?app_id=`, else `X-App-Id`, else its Referer's, else `default_app`.

    See: https://developers.weixin.qq.com/miniprogram/dev/framework/ability/network.html (WeChat),
    https://developer.open-douyin.com/docs/resource/zh-CN/mini-game/develop/api/network/onload/tt-upload-file (Douyin),
    https://opendocs.alipay.com/mini/api/owycmh (Alipay)
    """
    try:
        app_id = sample_query(target).app_id
    except InvalidRequest:
        return None  # The handler refuses the request.
    if app_id := app_id or headers.get("X-App-Id"):
        return app_id
    match = _REFERER.match(headers.get("Referer", ""))
    return match[1] if match else registry.default_app


def sample_json(upload: SignedUpload) -> bytes:
    """Return the members of the sample server's response, and those that this service adds."""
    fields = upload.further_fields
    document = {"signature": upload.signature, "key_prefix": upload.key_prefix, "fields": fields}
    for name in ("key", "callback"):
        if name in fields:
            document[name] = fields[name]
    return b"".join((_beginning(upload.head, upload.url), upload.policy_tail, b'",', orjson.dumps(document)[1:]))


@lru_cache(maxsize=1024)
def _beginning(head: PolicyHead, url: str) -> bytes:
    """Return the JSON that all responses with this head have in common, up to the tail of the policy."""
    fields = head.fields
    document = {
        "host": url,
        "x_oss_signature_version": fields["x-oss-signature-version"],
        "x_oss_credential": fields["x-oss-credential"],
        "x_oss_date": fields["x-oss-date"],
        "security_token": fields.get("x-oss-security-token", ""),
        "expires_at": rfc3339(head.expires_at),
        "policy": head.base64,
    }
    return orjson.dumps(document).removesuffix(b'"}')
