"""docs/localcloud.md names every operation and option, and its example runs."""

from __future__ import annotations

import re
import sys

import aiohttp

from localcloud.operations import LIST_BUCKETS, OPERATIONS, PREFLIGHT
from tests.harness.local_cloud import Cloud
from tests.harness.processes import ROOT, run

PAGE = (ROOT / "docs/localcloud.md").read_text(encoding="utf-8")


def test_the_table_has_the_operations() -> None:
    section = PAGE[PAGE.index("## What OSS does here") : PAGE.index("Signatures of version 4")]
    written = {
        name
        for line in section.splitlines()
        if line.startswith("| ")
        for name in re.findall(r"[A-Z]\w+", line.split("|")[1])
    }
    assert written == {each.name for each in (*OPERATIONS, LIST_BUCKETS, PREFLIGHT)}


async def test_the_table_has_the_options() -> None:
    help_text = (await run(sys.executable, "-m", "localcloud", "--help")).out
    internal = {"--help", "--stop-with-stdin"}
    assert set(re.findall(r"--[a-z-]+", help_text)) - internal == set(re.findall(r"`(--[a-z-]+)", PAGE)) - internal


async def test_the_example_runs(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    [example] = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    completed = await run(sys.executable, "-c", example.replace("http://127.0.0.1:9000", cloud.oss))
    assert completed.status == 0, completed.err
    assert await cloud.content("photos", "a.txt") == b"hello"
