"""The gallery of docs/miniprogram.md works as it is written, with the local cloud as OSS and WeChat."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from yarl import URL

from tests.callers import local_wechat
from tests.callers.local_wechat import LocalWeChat
from tests.harness.local_cloud import local_cloud
from tests.harness.oss_upload import post_object
from tests.harness.processes import ROOT, run
from tests.harness.programs import require_program
from tests.harness.signer import signer

pil_image = pytest.importorskip("PIL.Image")


def blocks(document: str) -> tuple[dict[str, Any], str]:
    """Return the documented app and the code of the gallery."""
    text = (ROOT / document).read_text("utf-8")
    found = re.search(r"^```yaml\n(apps:\n(?:(?!^```).)*?downloads:.*?)^```$\n+^```js\n(.*?)^```$", text, re.M | re.S)
    assert found is not None
    [app] = yaml.safe_load(found[1])["apps"].values()
    return app, found[2]


@pytest.mark.parametrize("document", ["docs/miniprogram.md", "docs/miniprogram.zh-CN.md"])
async def test_the_documented_gallery_shows_and_removes_pictures(document: str, tmp_path: Path) -> None:
    require_program("node")
    documented, code = blocks(document)
    async with aiohttp.ClientSession() as session, local_cloud(session, public_read=False) as cloud:
        url = await cloud.create_bucket("photos")
        wechat = LocalWeChat(cloud.wechat, session)
        app = await wechat.app()
        config = tmp_path / "signer.yaml"
        callers = {"type": "wechat", "secret": local_wechat.SECRET, "endpoint": cloud.wechat}
        changed = {**documented, "callers": callers, "downloads": {**documented["downloads"], "domain": url}}
        config.write_text(
            f"""
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
credentials: {{r: {{type: assume_role, endpoint: "{cloud.sts}", scope: app}}}}
defaults: {{bucket: photos, region: cn-hangzhou, domain: "{url}", credentials: r}}
apps: {json.dumps({app: changed})}
""",
            encoding="utf-8",
        )
        async with signer(session, config) as running:
            picture = io.BytesIO()
            pil_image.new("RGB", (600, 400), "blue").save(picture, "PNG")
            keys = []
            for number in range(3):
                form = await running.upload_form(
                    app, {"filename": f"{number}.png"}, {"X-WX-Code": await wechat.code(app)}
                )
                assert (await post_object(session, form["url"], form["fields"], picture.getvalue()))[0] == 200
                keys.append(form["key"])
            parameters: dict[str, Any] = {
                "code": code,
                "signer": running.public,
                "wechat": cloud.wechat,
                "app": app,
                "keys": [keys[0], "photos/somebody-else/a.png", keys[1]],
                "removed": keys[2],
            }
            completed = await run("node", ROOT / "tests/e2e/gallery_recipe.mjs", stdin=json.dumps(parameters))
            assert completed.status == 0, completed.err
            shown = json.loads(completed.out)
            assert [each["key"] for each in shown["thumbnails"]] == keys[:2]
            for kind, size in (("thumbnails", (200, 133)), ("originals", (600, 400))):
                for each in shown[kind]:
                    async with session.get(URL(each["url"], encoded=True)) as response:
                        assert response.status == 200, await response.text()
                        assert pil_image.open(io.BytesIO(await response.read())).size == size
            assert "thumb, cover" in shown["refused"]
            assert shown["logins"] == 1
            assert {each["key"] for each in await cloud.objects("photos")} == set(keys[:2])
