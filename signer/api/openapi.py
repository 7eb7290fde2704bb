"""`GET /openapi.json`: all that the public address answers, from the models that requests are validated with."""

from __future__ import annotations

import json
from typing import Any

from pydantic.json_schema import models_json_schema

import signer
from signer.api.schemas import Download, ProblemBody, Signature, Upload, UploadRequestBody
from signer.errors import Problem

_AT = "#/components/schemas/{model}"
_ANSWER_HEADERS = {
    "X-Request-Id": "the one that was sent, if harmless, else a new one",
    "Cache-Control": "no-store",
    "X-Session": "a session to send from now on instead of a wx.login code",
    "X-Session-Expires-In": "its life in seconds",
    "RateLimit-Limit": "requests in a period",
    "RateLimit-Remaining": "what is left of them",
    "RateLimit-Reset": "seconds until all are there again",
}
_CREDENTIALS = {
    "session": {"type": "apiKey", "in": "header", "name": "X-Session"},
    "wx_code": {"type": "apiKey", "in": "header", "name": "X-WX-Code"},
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "api_key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
}


def document() -> str:
    """OpenAPI 3.1 as JSON."""
    _, schemas = models_json_schema(
        [(model, "validation") for model in (UploadRequestBody, Upload, Signature, Download, ProblemBody)],
        ref_template=_AT,
    )
    body: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "oss-signer",
            "version": signer.__version__,
            "description": "Signs direct uploads to Alibaba Cloud OSS.",
        },
        "paths": {
            "/generate_signature": {
                "get": _operation(
                    "Alibaba's documented sample endpoint",
                    200,
                    "Signature",
                    parameters=[
                        _in("query", "app_id", "else X-App-Id, else WeChat's Referer, else default_app"),
                        _in("header", "X-App-Id", "the app, where the query does not say it"),
                        _in("query", "filename", "the file's own name", maxLength=1024),
                        _in("query", "content_type", "the file's media type", maxLength=255),
                        _in("query", "size", "the file's size in bytes", pattern="^[0-9]{1,16}$"),
                    ],
                )
            },
            "/v1/apps/{app_id}/uploads": {
                "post": _operation(
                    "A whole form, every fixed field in it and pinned by its policy",
                    201,
                    "Upload",
                    parameters=[_in("path", "app_id", "the app")],
                    requestBody={
                        "required": False,
                        "content": {"application/json": {"schema": _ref("UploadRequestBody")}},
                    },
                )
            },
            "/v1/apps/{app_id}/downloads": {
                "get": _operation(
                    "A URL that reads an object below the caller's own prefix",
                    200,
                    "Download",
                    parameters=[
                        _in("path", "app_id", "the app"),
                        _in("query", "key", "the object key", required=True, maxLength=1023),
                    ],
                )
            },
            "/v1/apps/{app_id}/callback": {
                "post": {
                    "summary": "OSS's own call after an upload, signed by OSS",
                    "parameters": [_in("path", "app_id", "the app")],
                    "requestBody": {"required": True, "content": {"*/*": {"schema": {}}}},
                    "responses": {
                        "200": {"description": "known and noted", "content": {"application/json": {"schema": {}}}},
                        **_problems(),
                    },
                }
            },
            "/openapi.json": {
                "get": {
                    "summary": "This document",
                    "responses": {"200": {"description": "OpenAPI", "content": {"application/json": {"schema": {}}}}},
                }
            },
        },
        "components": {"schemas": schemas["$defs"], "securitySchemes": _CREDENTIALS},
        "security": [{}, *({name: []} for name in _CREDENTIALS)],
    }
    return json.dumps(body, ensure_ascii=False, indent=1) + "\n"


def _operation(summary: str, status: int, model: str, **members: Any) -> dict[str, Any]:
    success = {
        "description": summary,
        "headers": {
            name: {"description": text, "schema": {"type": "string"}} for name, text in _ANSWER_HEADERS.items()
        },
        "content": {"application/json": {"schema": _ref(model)}},
    }
    return {"summary": summary, **members, "responses": {str(status): success, **_problems()}}


def _problems() -> dict[str, Any]:
    """Each status that a problem can have, with the codes that go with it."""
    codes: dict[int, list[str]] = {}
    problems: list[type[Problem]] = [Problem, *Problem.__subclasses__()]
    for problem in problems:
        codes.setdefault(problem.status, []).append(problem.code)
    return {
        str(status): {
            "description": ", ".join(sorted(found)),
            "content": {"application/problem+json": {"schema": _ref("ProblemBody")}},
        }
        for status, found in sorted(codes.items())
    }


def _in(where: str, name: str, description: str, *, required: bool = False, **schema: Any) -> dict[str, Any]:
    return {
        "in": where,
        "name": name,
        "required": required or where == "path",
        "description": description,
        "schema": {"type": "string", **schema},
    }


def _ref(model: str) -> dict[str, str]:
    return {"$ref": _AT.format(model=model)}
