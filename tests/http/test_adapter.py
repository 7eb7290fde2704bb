"""Which HTTP adapter runs, and the log line with the reason."""

from __future__ import annotations

import logging

import pytest

from signer.http.adapter import choose_adapter
from signer.http.fast import VERIFIED_AIOHTTP_VERSIONS, FastServer
from signer.http.standard import StandardServer

VERIFIED = sorted(VERIFIED_AIOHTTP_VERSIONS)[-1]


@pytest.mark.parametrize("environ", [{}, {"OSS_SIGNER_STANDARD_HTTP": "0"}, {"OSS_SIGNER_STANDARD_HTTP": ""}])
def test_the_fast_adapter_runs_with_a_verified_aiohttp(
    environ: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert choose_adapter(environ, VERIFIED) is FastServer
    assert not caplog.records


@pytest.mark.parametrize(
    ("environ", "version", "reason"),
    [
        ({"OSS_SIGNER_STANDARD_HTTP": "1"}, VERIFIED, "OSS_SIGNER_STANDARD_HTTP is 1"),
        ({}, "3.99.0", "the fast adapter is not verified with aiohttp 3.99.0"),
    ],
)
def test_the_standard_adapter_runs_otherwise_and_the_reason_is_logged(
    environ: dict[str, str], version: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert choose_adapter(environ, version) is StandardServer
    [record] = caplog.records
    assert (record.message, record.__dict__["reason"]) == ("standard HTTP adapter in use", reason)
