"""Generates the OpenAPI document of the public API: `python -m tools.openapi > signer/api/openapi.json`."""

import json
import sys
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

import signer
from signer.api.credentials import CredentialRequestBody
from signer.api.downloads_request import DownloadsBody
from signer.api.upload_request import UploadRequestBody
from signer.errors import Problem
from tools import openapi_credentials, openapi_multipart, openapi_objects
from tools.docstrings import require_docstrings
from tools.openapi_objects import DownloadUrl, DownloadUrls
from tools.openapi_problem import ProblemDocument
from tools.openapi_uploads import SampleSignature, SignedPut, UploadBatch, UploadForm

_SCHEMA_NAMES: dict[type[BaseModel], str] = {
    UploadRequestBody: "UploadRequest",
    UploadForm: "UploadForm",
    SignedPut: "SignedPut",
    UploadBatch: "UploadBatch",
    SampleSignature: "SampleSignature",
    ProblemDocument: "Problem",
    **openapi_objects.REQUESTS,
    **openapi_objects.RESPONSES,
    **openapi_multipart.REQUESTS,
    **openapi_multipart.RESPONSES,
    **openapi_credentials.REQUESTS,
    **openapi_credentials.RESPONSES,
}
_REQUESTS = {
    "UploadRequest",
    "UploadFile",
    *openapi_objects.REQUESTS.values(),
    *openapi_multipart.REQUESTS.values(),
    *openapi_credentials.REQUESTS.values(),
}
_SCHEMA_ADDRESS = "#/components/schemas/{model}"
_RESPONSE_HEADERS = {
    "X-Request-Id": "The id of the request: the client's if it is valid, else a new one.",
    "Cache-Control": "no-store",
    "X-Session": "A session to send from now on instead of a wx.login code.",
    "X-Session-Expires-In": "The lifetime of the session in seconds.",
    "RateLimit-Limit": "The number of requests in one period.",
    "RateLimit-Remaining": "The number of requests that are left.",
    "RateLimit-Reset": "The time in seconds until all requests are available again.",
    "RateLimit-Policy": "The limits of an app with limits of bytes, by name: q in w seconds.",
    "RateLimit": "What is left of them: r, and the time in seconds t until all is available again.",
}
_SECURITY_SCHEMES = {
    "session": {"type": "apiKey", "in": "header", "name": "X-Session"},
    "wx_code": {"type": "apiKey", "in": "header", "name": "X-WX-Code"},
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "api_key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
}


def openapi_document() -> str:
    """Return the OpenAPI document as JSON.

    See: https://spec.openapis.org/oas/v3.1.0.html
    """
    app_id = _parameter("path", "app_id", "The app.")
    sample_parameters = [
        _parameter("query", "app_id", "The app; else X-App-Id, else WeChat's Referer, else default_app."),
        _parameter("header", "X-App-Id", "The app, if the query does not name it."),
        _parameter("query", "filename", "The name of the file.", maxLength=1024),
        _parameter("query", "content_type", "The media type of the file.", maxLength=255),
        _parameter("query", "size", "The size of the file in bytes.", pattern="^[0-9]{1,16}$"),
    ]
    sample = _operation(
        "generateSignature",
        "Sign a form as Alibaba's sample server does",
        200,
        SampleSignature,
        parameters=sample_parameters,
    )
    upload = _operation(
        "createUpload",
        "Sign a complete form, whose policy pins every fixed field, or a PUT; with files, one for each",
        200,
        UploadBatch,
        parameters=[app_id],
        requestBody={"required": False, "content": _content(_reference(UploadRequestBody))},
    )
    one_file = {"anyOf": [_reference(UploadForm), _reference(SignedPut)]}
    upload["responses"]["200"]["description"] = "The uploads of several files"
    upload["responses"]["201"] = {
        **upload["responses"]["200"],
        "description": "The upload of one file",
        "content": _content(one_file),
    }
    credential = _operation(
        "createCredential",
        "Return a temporary credential that is limited to the caller's objects, for an SDK of OSS",
        200,
        openapi_credentials.TemporaryCredential,
        parameters=[app_id],
        requestBody={"required": False, "content": _content(_reference(CredentialRequestBody))},
    )
    callback = {
        "operationId": "receiveCallback",
        "summary": "Receive OSS's callback after an upload, signed by OSS",
        "parameters": [app_id],
        "requestBody": {"required": True, "content": _content({}, "*/*")},
        "responses": {"200": {"description": "accepted", "content": _content({})}, **_problem_responses()},
    }
    openapi = {
        "operationId": "getOpenApi",
        "summary": "Return this document",
        "responses": {"200": {"description": "OpenAPI", "content": _content({})}},
    }
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "oss-signer",
            "version": signer.__version__,
            "description": "Signs direct uploads to Alibaba Cloud OSS.",
        },
        "servers": [{"url": "/", "description": "The signer that returns this document."}],
        "paths": {
            "/generate_signature": {"get": sample},
            "/v1/apps/{app_id}/uploads": {"post": upload},
            "/v1/apps/{app_id}/downloads": _downloads_path(app_id),
            "/v1/apps/{app_id}/objects": {"delete": _delete(app_id)},
            "/v1/apps/{app_id}/credentials": {"post": credential},
            **_multipart_paths(app_id),
            "/v1/apps/{app_id}/multipart/s3": _s3_path(app_id),
            "/v1/apps/{app_id}/callback": {"post": callback},
            "/openapi.json": {"get": openapi},
        },
        "components": {"schemas": _schemas(), "securitySchemes": _SECURITY_SCHEMES},
        "security": [{}, *({name: []} for name in _SECURITY_SCHEMES)],
    }
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _downloads_path(app_id: dict[str, Any]) -> dict[str, Any]:
    key = _parameter("query", "key", "The object key.", required=True, maxLength=1023)
    style = _parameter("query", "style", "The name of a style of the app.")
    one = _operation(
        "createDownload", "Sign a URL that reads an object", 200, DownloadUrl, parameters=[app_id, key, style]
    )
    several = _operation(
        "createDownloads",
        "Sign URLs that read up to 100 objects",
        200,
        DownloadUrls,
        parameters=[app_id],
        requestBody={"required": True, "content": _content(_reference(DownloadsBody))},
    )
    return {"get": one, "post": several}


def _delete(app_id: dict[str, Any]) -> dict[str, Any]:
    key = _parameter("query", "key", "The object key.", required=True, maxLength=1023)
    return _operation("deleteObject", "Delete one of the caller's objects", 204, None, parameters=[app_id, key])


def _multipart_paths(app_id: dict[str, Any]) -> dict[str, Any]:
    return {
        f"/v1/apps/{{app_id}}/multipart{end}": {
            "post": _operation(
                name,
                summary,
                status,
                response,
                parameters=[app_id],
                requestBody={"required": True, "content": _content(_reference(request))},
            )
        }
        for end, name, summary, status, request, response in openapi_multipart.STEPS
    }


def _s3_path(app_id: dict[str, Any]) -> dict[str, Any]:
    """Return the operations of S3 clients, whose bodies are XML."""
    token = _parameter("header", "X-Upload-Token", "The UploadId of the start.")
    operations = {
        "post": ("s3StartOrComplete", "Start an upload, or with a token complete it, for S3 clients", 200),
        "get": ("s3ListParts", "List the parts that OSS has, for S3 clients", 200),
        "delete": ("s3Abort", "Delete an upload and its parts, for S3 clients", 204),
    }
    return {
        method: {
            "operationId": name,
            "summary": summary,
            "parameters": [app_id, token],
            "responses": {
                str(status): {
                    "description": summary,
                    **({"content": _content({}, "application/xml")} if status == 200 else {}),
                },
                **_problem_responses(),
            },
        }
        for method, (name, summary, status) in operations.items()
    }


def _operation(name: str, summary: str, status: int, model: type[BaseModel] | None, **members: Any) -> dict[str, Any]:
    headers = {name: {"description": text, "schema": {"type": "string"}} for name, text in _RESPONSE_HEADERS.items()}
    content = {} if model is None else {"content": _content(_reference(model))}
    success = {"description": summary, "headers": headers, **content}
    return {
        "operationId": name,
        "summary": summary,
        **members,
        "responses": {str(status): success, **_problem_responses()},
    }


def _content(schema: dict[str, Any], media_type: str = "application/json") -> dict[str, Any]:
    return {media_type: {"schema": schema}}


def _problem_responses() -> dict[str, Any]:
    """Return a response for each status of a problem; its description lists the codes."""
    codes: dict[int, list[str]] = {}
    problems: list[type[Problem]] = [Problem, *Problem.__subclasses__()]
    for problem in problems:
        codes.setdefault(problem.status, []).append(problem.code)
    return {
        str(status): {
            "description": ", ".join(sorted(status_codes)),
            "content": _content(_reference(ProblemDocument), "application/problem+json"),
        }
        for status, status_codes in sorted(codes.items())
    }


def _parameter(where: str, name: str, description: str, *, required: bool = False, **schema: Any) -> dict[str, Any]:
    return {
        "in": where,
        "name": name,
        "required": required or where == "path",
        "description": description,
        "schema": {"type": "string", **schema},
    }


def _schemas() -> dict[str, Any]:
    _, document = models_json_schema([(model, "validation") for model in _SCHEMA_NAMES], ref_template=_SCHEMA_ADDRESS)
    text = json.dumps(document["$defs"])
    for model, name in _SCHEMA_NAMES.items():
        text = text.replace(
            json.dumps(_SCHEMA_ADDRESS.format(model=model.__name__)), json.dumps(_SCHEMA_ADDRESS.format(model=name))
        )
    definitions = json.loads(text)
    schemas = {name: definitions[model.__name__] for model, name in _SCHEMA_NAMES.items()}
    schemas["UploadFile"] = definitions["UploadFile"]
    for name, schema in schemas.items():
        schema["title"] = name
        for member in schema["properties"].values():
            # Generators of clients take a default for a member that is always there.
            member.pop("default", None)
            if name not in _REQUESTS and (kinds := member.pop("anyOf", None)) is not None:
                # The signer leaves such a member out; it sends no null.
                member.update(next(kind for kind in kinds if kind != {"type": "null"}))
    return schemas


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _SCHEMA_ADDRESS.format(model=_SCHEMA_NAMES[model])}


if __name__ == "__main__":
    require_docstrings()
    sys.stdout.write(openapi_document())
