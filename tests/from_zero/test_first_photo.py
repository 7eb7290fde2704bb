"""The first photo of docs/from-zero.md, and its failures."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from tests.from_zero.page import APP, APP_ID, FILES, calls, table_codes
from tests.from_zero.place import Place
from tests.harness.local_cloud import local_cloud
from tests.harness.oss_upload import post_object
from tests.harness.signer import Signer


async def form_of_a_user(place: Place, service: Signer) -> dict[str, Any]:
    code = await place.wechat.code(APP_ID)
    return await service.upload_form(APP_ID, {"filename": "a.jpg"}, {"X-WX-Code": code})


async def test_the_first_photo_is_stored(place: Place) -> None:
    async with place.running() as service:
        form = await form_of_a_user(place, service)
        status, body, _ = await post_object(place.cloud.session, form["url"], form["fields"], b"photo")
    assert status in (200, 204), body
    [stored] = await place.cloud.objects(APP["bucket"])
    folder = calls("ossutil ls")[0].words[0].removeprefix(f"oss://{APP['bucket']}/")
    assert re.fullmatch(rf"{folder}[\w-]{{28}}/{datetime.now(UTC):%Y/%m}/[\w.-]+", stored["key"]), stored
    assert stored["size_bytes"] == len(b"photo")


async def upload(
    place: Place, form: Mapping[str, Any], content: bytes = b"photo", changes: Mapping[str, str] | None = None
) -> str:
    """Upload with changed fields, and return the EC of the refusal."""
    fields = {**form["fields"], **(changes or {})}
    _, _, headers = await post_object(place.cloud.session, form["url"], fields, content)
    return headers.get("x-oss-ec", "")


async def _unbound(place: Place, form: Mapping[str, Any]) -> str:
    await place.configure("domains/localhost", {"bucket": None})
    return await upload(place, form)


async def _without_permission(place: Place, form: Mapping[str, Any]) -> str:
    policy = json.loads(FILES["policy.json"].replace("/photos/*", "/other/*"))
    await place.configure("roles/oss-uploader", {"policy": policy})
    return await upload(place, form)


async def _forbidden(place: Place, form: Mapping[str, Any]) -> str:
    policy = json.loads(FILES["policy.json"].replace("Allow", "Deny"))
    await place.configure("roles/oss-uploader", {"policy": policy})
    return await upload(place, form)


async def _late(place: Place, form: Mapping[str, Any]) -> str:
    await place.cloud.set_faults(oss={"kind": "clock", "offset_seconds": 3600})
    return await upload(place, form)


async def _changed(place: Place, form: Mapping[str, Any]) -> str:
    return await upload(place, form, changes={"x-oss-content-type": "text/html"})


async def _too_large(place: Place, form: Mapping[str, Any]) -> str:
    return await upload(place, form, b"x" * 1025)


async def _default_domain(place: Place, form: Mapping[str, Any]) -> str:
    async with local_cloud(place.cloud.session, "--new-account") as cloud:
        await cloud.create_bucket(APP["bucket"], APP["region"])
        return await upload(place, {**form, "url": f"{cloud.oss}/{APP['bucket']}"})


FAILURES: Mapping[str, Callable[[Place, Mapping[str, Any]], Awaitable[str]]] = {
    "0048-00000401": _default_domain,
    "0015-00000101": _unbound,
    "0003-00000202": _without_permission,
    "0003-00000201": _forbidden,
    "0006-00000213": _late,
    "0006-00000227": _changed,
    "0006-00000003": _too_large,
}


def test_each_ec_of_the_first_photo_is_tested() -> None:
    assert {code for code in table_codes("9. ") if re.fullmatch(r"\d{4}-\d{8}", code)} == set(FAILURES)


async def test_failures_of_the_first_photo_have_the_documented_ec(place: Place) -> None:
    async with place.running() as service:
        for ec, cause in FAILURES.items():
            await place.cloud.set_faults()
            await place.follow_the_page()
            assert await cause(place, await form_of_a_user(place, service)) == ec
