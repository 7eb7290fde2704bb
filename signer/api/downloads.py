"""`GET /v1/apps/{app_id}/downloads`: a URL that reads one of the caller's own objects."""

from signer.clock import rfc3339
from signer.errors import InvalidRequest
from signer.http.reply import Reply, json_reply
from signer.http.router import Handler
from signer.revision import Context
from signer.service import Service


def download_handler(service: Service) -> Handler:
    """Return the handler of `GET /v1/apps/{app_id}/downloads`."""

    async def create_download(context: Context) -> Reply:
        key = context.query.get("key")
        if not key:
            raise InvalidRequest("the query names no object; send ?key=")
        result = await service.sign_download(context, key)
        document = {"url": result.signed.url, "expires_at": rfc3339(result.signed.expires_at)}
        return json_reply(document, allowance=result.allowance, session=result.caller.session)

    return create_download
