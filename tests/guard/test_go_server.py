"""The Go server that the signer is compared with does the same job."""

from __future__ import annotations

import json

from bench import definitions, go_server
from bench.contenders import open_app_request
from bench.http_client import Response, send
from bench.processes import local_cloud, signer
from tests.harness.programs import require_program


def test_go_server_responds_with_the_same_bytes_in_the_same_second() -> None:
    require_program("go")
    with (
        local_cloud() as cloud,
        signer(definitions.usual(cloud)) as python,
        go_server.running(cloud, [definitions.OPEN]) as go,
    ):

        def in_one_second() -> tuple[Response, Response]:
            while True:
                both = send(open_app_request(python.public).url), send(open_app_request(go.public).url)
                if len({json.loads(response.text)["x_oss_date"] for response in both}) == 1:
                    return both

        expected, response = in_one_second()
    assert response.text == expected.text
    varying = ("Date", "X-Request-Id")
    assert {name: value for name, value in response.headers.items() if name not in varying} == {
        name: value for name, value in expected.headers.items() if name not in varying
    }
