"""`GET /openapi.json` describes the routes that exist, and names its schemas as the documentation does."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Client
from tools import openapi_credentials, openapi_multipart, openapi_objects
from tools.openapi import openapi_document

REQUESTS = {
    "UploadRequest",
    "UploadFile",
    *openapi_multipart.REQUESTS.values(),
    *openapi_objects.REQUESTS.values(),
    *openapi_credentials.REQUESTS.values(),
}


@pytest.fixture
async def document(client: Client) -> dict[str, Any]:
    async with client.get("/openapi.json") as response:
        assert response.status == 200
        found: dict[str, Any] = await response.json()
        return found


async def test_the_document_is_current(client: Client) -> None:
    """After a change of the models, run `make docs`."""
    async with client.get("/openapi.json") as response:
        assert await response.text() == openapi_document()
        assert response.headers["Access-Control-Allow-Origin"] == "*"


async def test_every_schema_is_defined_and_used(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert {"Download", "MultipartUpload", "Problem", "SampleSignature", "UploadForm", "UploadRequest"} <= set(schemas)
    assert all(schema["title"] == name for name, schema in schemas.items())
    assert all(f'"#/components/schemas/{name}"' in str(document).replace("'", '"') for name in schemas)


async def test_every_documented_path_and_method_exists(document: dict[str, Any], client: Client) -> None:
    for path, operations in document["paths"].items():
        for method in operations:
            async with client.request(method, path.replace("{app_id}", "reported")) as response:
                assert response.status not in (404, 405), (method, path)


async def test_each_problem_code_is_listed_with_its_status(document: dict[str, Any]) -> None:
    responses = document["paths"]["/v1/apps/{app_id}/uploads"]["post"]["responses"]
    assert "invalid_request" in responses["400"]["description"]
    assert "rate_limited" in responses["429"]["description"]


async def test_generators_of_clients_have_what_they_need(document: dict[str, Any]) -> None:
    operations = [each for path in document["paths"].values() for each in path.values()]
    ids = [each["operationId"] for each in operations]
    assert len(set(ids)) == len(ids) and all(name.isidentifier() for name in ids)
    assert document["servers"]
    for name, schema in document["components"]["schemas"].items():
        for member in schema["properties"].values():
            assert "default" not in member
            assert "anyOf" not in member or name in REQUESTS
