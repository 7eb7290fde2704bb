"""A bucket gets a number of calls at a time, some wait, and more are refused at once, so that memory does not grow."""

from __future__ import annotations

import asyncio

import pytest

from signer.errors import OssUnavailable
from signer.multipart.bucket_calls import BucketCalls
from signer.multipart.oss_results import BucketAddress

BUSY = BucketAddress("videos", "cn-hangzhou", "https://videos.example.com")
OTHER = BucketAddress("archive", "cn-hangzhou", "https://archive.example.com")


async def test_too_many_calls_to_a_bucket_are_refused_and_named() -> None:
    outcomes: list[str] = []
    calls = BucketCalls(lambda _operation, outcome, _seconds: outcomes.append(outcome))
    released, running, refused = asyncio.Event(), 0, asyncio.Event()
    refusals: list[OssUnavailable] = []

    async def call() -> None:
        nonlocal running
        try:
            async with calls.attempt(BUSY, "InitiateMultipartUpload", 60.0):
                running += 1
                await released.wait()
        except OssUnavailable as error:
            refusals.append(error)
            refused.set()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(64 + 256 + 3):
            tasks.create_task(call())
        await refused.wait()
        assert running == 64
        assert {(error.detail, error.retry_after_seconds) for error in refusals} == {
            ("too many calls to this bucket wait for OSS; retry after the seconds in Retry-After", 1.0)
        }
        async with calls.attempt(OTHER, "InitiateMultipartUpload", 60.0):
            pass  # Another bucket does not wait.
        released.set()
    assert len(refusals) == 3
    assert (outcomes.count("success"), outcomes.count("rejected")) == (64 + 256 + 1, 3)


async def test_a_call_that_waits_until_its_deadline_is_refused() -> None:
    calls = BucketCalls(lambda _operation, _outcome, _seconds: None)
    released = asyncio.Event()

    async def hold() -> None:
        async with calls.attempt(BUSY, "ListParts", 60.0):
            await released.wait()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(64):
            tasks.create_task(hold())
        await asyncio.sleep(0)
        with pytest.raises(OssUnavailable, match="too many calls to this bucket wait"):
            async with calls.attempt(BUSY, "ListParts", 0.01):
                pass
        released.set()
