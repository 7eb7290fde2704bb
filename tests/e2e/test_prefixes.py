"""No filename, caller, content type or variable gives a form whose object leaves its app's and caller's prefix."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signer.errors import Problem
from signer.signing.callback_field import CallbackField
from signer.signing.form import Forms
from signer.signing.object_key import KeyNaming, Template
from signer.signing.upload_rules import UploadRequest, UploadRules
from signer.signing.v4 import Credential
from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.oss_upload import post_object

T = TypeVar("T")

CALLBACK = CallbackField(("http://127.0.0.1:1/",), "a=${x:a}", proof_secret=b"known to signers alone")
"""Nobody takes it: the object is stored all the same."""

KEY = Credential("LTAI-local", "local-secret")
NASTY = st.sampled_from([
    "../", "..", "/", "\\", "//", "%2e%2e/", "${filename}", "$", "\x00", "\r\n", "\u202e", "\u2028", "é", "a", ".", "~",
    "{caller}", "app/other/",
])  # fmt: skip
TEXT = st.one_of(st.text(max_size=60), st.lists(NASTY, max_size=8).map("".join))
GOOD_CALLERS = st.sampled_from(["anna", "o6zAJs-x_y", "a.b@c", "a..b", "...a"])
CALLER = st.one_of(GOOD_CALLERS, GOOD_CALLERS, GOOD_CALLERS, TEXT, st.none())
FEW = st.dictionaries(st.one_of(st.just("a"), TEXT), TEXT, max_size=1)
NAMES = st.sampled_from([None, "{uuid}.{ext}", "{filename}", "{stem}-{uuid}", "{caller}-{filename}"])


class Judge:
    """The local cloud's OSS, in a loop of its own."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._session = self.run(self._open())
        self._context = local_cloud(self._session, "--bucket", "photos=cn-hangzhou")
        self.cloud: Cloud = self.run(self._context.__aenter__())
        self.examples = 0
        self.stored = 0

    async def _open(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def bucket(self) -> str:
        """A new one, so that what is in it came from one form."""
        self.examples += 1
        name = f"photos-{self.examples}"
        self.run(self.cloud.create_bucket(name))
        return name

    def close(self) -> None:
        self.run(self._context.__aexit__(None, None, None))
        self.run(self._session.close())
        self._runner.close()


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    judge = Judge()
    yield judge
    judge.close()


def rules(judge: Judge, name: str | None) -> UploadRules:
    bucket = judge.bucket()
    return UploadRules(
        bucket=bucket,
        region="cn-hangzhou",
        url=f"{judge.cloud.oss}/{bucket}",
        naming=KeyNaming(
            Template.parse("app/{caller}/", frozenset({"app", "caller", "yyyy", "mm", "dd"})),
            None if name is None else Template.parse(name),
        ),
        expires=timedelta(minutes=10),
        max_size_bytes=100,
        callback=CALLBACK,
        meta_names=frozenset({"team"}),
    )


@settings(max_examples=1000, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    name=NAMES,
    caller=CALLER,
    filename=st.one_of(st.none(), TEXT),
    content_type=st.one_of(st.none(), st.none(), st.just("image/jpeg"), TEXT),
    variables=st.one_of(st.just({}), st.just({}), FEW),
    meta=st.one_of(st.just({}), st.just({}), st.dictionaries(st.just("team"), TEXT, max_size=1)),
    part_name=TEXT,
    wanted=st.one_of(st.none(), st.none(), st.none(), TEXT, TEXT.map(lambda text: f"app/anna/{text}")),
    documented=st.booleans(),
)
def test_what_oss_stores_lies_below_the_prefix(
    judge: Judge,
    name: str | None,
    caller: str | None,
    filename: str | None,
    content_type: str | None,
    variables: dict[str, str],
    meta: dict[str, str],
    part_name: str,
    wanted: str | None,
    documented: bool,
) -> None:
    app = rules(judge, name)
    forms = Forms("app", app)
    sign = forms.sample_form if documented else forms.full_form
    wish = UploadRequest(filename, content_type, 1, variables, meta)
    try:
        upload = sign(wish, caller=caller, credential=KEY, now=datetime.now(UTC))
    except Problem:
        return
    fields = {"key": upload.key or upload.key_prefix + "${filename}", **upload.fields}
    if wanted is not None:
        # What a client that obeys nobody asks for.
        fields["key"] = wanted
    with contextlib.suppress(ValueError):  # no multipart form can be made of some names
        judge.run(post_object(judge.cloud.session, upload.url, fields, b"x", filename=part_name or "x"))
    stored = [each["key"] for each in judge.run(judge.cloud.objects(app.bucket))]
    judge.stored += len(stored)
    assert len(stored) <= 1
    for key in stored:
        assert key.startswith(f"app/{caller}/")
        assert upload.key in (None, key)


def test_some_were_stored(judge: Judge) -> None:
    """So that the property above says something."""
    print(f"{judge.examples} forms, {judge.stored} of them stored")
    assert judge.stored > 20
