"""`GET` and `POST /v1/apps/{app_id}/downloads`: URLs that read objects, for one key or for up to 100."""

from signer.api.downloads_request import parse_downloads_request
from signer.api.json_body import with_code
from signer.clock import rfc3339
from signer.errors import InvalidRequest
from signer.http.problem_reply import problem_document
from signer.http.reply import Reply, json_reply
from signer.http.router import Handler
from signer.objects.downloads import SignedDownload
from signer.revision import Context
from signer.service import Service


def download_handler(service: Service) -> Handler:
    """Return the handler of `GET /v1/apps/{app_id}/downloads`."""

    async def create_download(context: Context) -> Reply:
        query = context.query
        key = query.get("key")
        if not key:
            raise InvalidRequest("the query names no object; send ?key=")
        result = await service.downloads.sign_one(context, key, query.get("style"))
        document = {"url": result.downloads[0].url, "expires_at": rfc3339(result.expires_at)}
        return json_reply(document, allowance=result.allowance, session=result.caller.session)

    return create_download


def downloads_handler(service: Service) -> Handler:
    """Return the handler of `POST /v1/apps/{app_id}/downloads`."""

    async def create_downloads(context: Context) -> Reply:
        body = await parse_downloads_request(context)
        result = await service.downloads.sign(with_code(context, body.code), body.keys, body.style)
        document = {
            "downloads": [_download_document(each, context.request_id) for each in result.downloads],
            "expires_at": rfc3339(result.expires_at),
        }
        return json_reply(document, allowance=result.allowance, session=result.caller.session)

    return create_downloads


def _download_document(download: SignedDownload, request_id: str) -> dict[str, object]:
    if download.problem is None:
        return {"key": download.key, "url": download.url}
    return {"key": download.key, "problem": problem_document(download.problem, request_id)}
