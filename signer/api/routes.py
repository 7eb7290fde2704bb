"""The public routes: which path and method each resource answers."""

from pathlib import Path

from signer.api.callbacks import callback_handler
from signer.api.credentials import credential_handler
from signer.api.downloads import download_handler, downloads_handler
from signer.api.multipart import (
    multipart_abort_handler,
    multipart_complete_handler,
    multipart_list_handler,
    multipart_parts_handler,
    multipart_start_handler,
)
from signer.api.multipart_s3 import (
    multipart_s3_abort_handler,
    multipart_s3_list_handler,
    multipart_s3_post_handler,
)
from signer.api.objects import delete_handler
from signer.api.sample_signature import app_of_sample_request, sample_signature_handler
from signer.api.uploads import upload_handler
from signer.delivery.receiver import CallbackReceiver
from signer.http.reply import Reply
from signer.http.router import Handler, Router, app_in_path
from signer.revision import Context
from signer.service import Service


def public_routes(service: Service, receiver: CallbackReceiver) -> Router:
    """Return the routes of the public listener."""
    router = Router()
    for method, path, handler, app_naming in (
        ("GET", "/generate_signature", sample_signature_handler(service), app_of_sample_request),
        ("POST", "/v1/apps/{app_id}/uploads", upload_handler(service), app_in_path),
        ("GET", "/v1/apps/{app_id}/downloads", download_handler(service), app_in_path),
        ("POST", "/v1/apps/{app_id}/downloads", downloads_handler(service), app_in_path),
    ):
        router.add(method, path, handler, app_naming=app_naming)
        router.add("OPTIONS", path, preflight)
    for end, handler in (
        ("", multipart_start_handler(service)),
        ("/parts", multipart_parts_handler(service)),
        ("/list", multipart_list_handler(service)),
        ("/complete", multipart_complete_handler(service)),
        ("/abort", multipart_abort_handler(service)),
    ):
        # Their durations are those of OSS.
        path = f"/v1/apps/{{app_id}}/multipart{end}"
        router.add("POST", path, handler, app_naming=app_in_path, is_timed=False)
        router.add("OPTIONS", path, preflight)
    for method, handler in (
        ("POST", multipart_s3_post_handler(service)),
        ("GET", multipart_s3_list_handler(service)),
        ("DELETE", multipart_s3_abort_handler(service)),
        ("OPTIONS", preflight),
    ):
        router.add(method, "/v1/apps/{app_id}/multipart/s3", handler, app_naming=app_in_path, is_timed=False)
    # These wait for OSS and STS, too.
    for method, path, handler in (
        ("DELETE", "/v1/apps/{app_id}/objects", delete_handler(service)),
        ("POST", "/v1/apps/{app_id}/credentials", credential_handler(service)),
    ):
        router.add(method, path, handler, app_naming=app_in_path, is_timed=False)
        router.add("OPTIONS", path, preflight)
    router.add("POST", "/v1/apps/{app_id}/callback", callback_handler(receiver), app_naming=app_in_path)
    router.add("GET", "/openapi.json", openapi_handler())
    return router


async def preflight(_context: Context) -> Reply:
    """Answer a browser's CORS preflight request; dispatch adds the CORS headers of the app."""
    return Reply(204, content_type=None)


def openapi_handler() -> Handler:
    """Return the handler of `GET /openapi.json`; `make docs` generates the document."""
    document = Path(__file__).with_name("openapi.json").read_bytes()

    async def openapi(_context: Context) -> Reply:
        # Tools in browsers, such as Swagger UI, read it from their own pages.
        return Reply(200, document, headers={"Access-Control-Allow-Origin": "*"})

    return openapi
