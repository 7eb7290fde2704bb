"""The client that docs/http.md shows uploads a file in parts, without the upload library."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.harness.processes import ROOT, run
from tests.harness.programs import require_program
from tests.multipart.video_signer import API_KEY, CONTENT, VideoSigner

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_documented_client_uploads_a_file(videos: VideoSigner, tmp_path: Path) -> None:
    blocks: list[str] = re.findall(r"^```js\n(.*?)^```$", (ROOT / "docs/http.md").read_text("utf-8"), re.M | re.S)
    [client] = [block for block in blocks if "uploadInParts" in block]
    (tmp_path / "trip.mp4").write_bytes(CONTENT)
    script = tmp_path / "client.mjs"
    script.write_text(
        f"""import {{ readFileSync }} from "node:fs"
        const app = {json.dumps(str(videos.client.make_url("/v1/apps/video")))}
        const headers = {json.dumps({"X-Api-Key": API_KEY, "X-Caller": "ann"})}
        {client}
        const file = new Blob([readFileSync({json.dumps(str(tmp_path / "trip.mp4"))})], {{ type: "video/mp4" }})
        file.name = "trip.mp4"
        console.log(JSON.stringify(await uploadInParts(file)))""",
        "utf-8",
    )
    completed = await run(require_program("node"), script)
    assert completed.status == 0, completed.err
    assert await videos.cloud.content("videos", json.loads(completed.out)["key"]) == CONTENT
