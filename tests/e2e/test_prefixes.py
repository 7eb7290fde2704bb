"""No filename, caller, content type or variable gives a form whose object is outside of the app's and caller's prefix."""

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
"""No server listens there; the object is stored all the same."""

KEY = Credential("LTAI-local", "local-secret")
NASTY = st.sampled_from([
    "../", "..", "/", "\\", "//", "%2e%2e/", "${filename}", "$", "\x00", "\r\n", "\u202e", "\u2028", "é", "a", ".", "~",
    "{caller}", "app/other/",
])  # fmt: skip
TEXT = st.one_of(st.text(max_size=60), st.lists(NASTY, max_size=8).map("".join))
GOOD_CALLERS = st.sampled_from(["anna", "o6zAJs-x_y", "a.b@c", "a..b", "...a"])
CALLER = st.one_of(GOOD_CALLERS, GOOD_CALLERS, GOOD_CALLERS, TEXT, st.none())
FEW = st.dictionaries(st.one_of(st.just("a"), TEXT), TEXT, max_size=1)
NAMES = st.sampled_from([None, "{uuid}.{ext}", "{filename}", "{stem}-{uuid}", "{caller}/{filename}"])


class Oss:
    """The local cloud's OSS, in an event loop of its own."""

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
        """Create a bucket, so that its objects come from one form."""
        self.examples += 1
        name = f"photos-{self.examples}"
        self.run(self.cloud.create_bucket(name))
        return name

    def close(self) -> None:
        self.run(self._context.__aexit__(None, None, None))
        self.run(self._session.close())
        self._runner.close()


@pytest.fixture(scope="module")
def oss() -> Iterator[Oss]:
    oss = Oss()
    yield oss
    oss.close()


def rules(oss: Oss, name: str | None) -> UploadRules:
    bucket = oss.bucket()
    return UploadRules(
        bucket=bucket,
        region="cn-hangzhou",
        url=f"{oss.cloud.oss}/{bucket}",
        naming=KeyNaming(
            Template.parse("app/{caller}/", frozenset({"app", "caller", "yyyy", "mm", "dd"})),
            None if name is None else Template.parse(name),
        ),
        expires=timedelta(minutes=10),
        max_size_bytes=100,
        callback=CALLBACK,
        meta_names=frozenset({"team"}),
    )


EXAMPLES = given(
    name=NAMES,
    caller=CALLER,
    filename=st.one_of(st.none(), TEXT),
    content_type=st.one_of(st.none(), st.none(), st.just("image/jpeg"), TEXT),
    variables=st.one_of(st.just({}), st.just({}), FEW),
    meta=st.one_of(st.just({}), st.just({}), st.dictionaries(st.just("team"), TEXT, max_size=1)),
    part_name=TEXT,
    chosen_key=st.one_of(st.none(), st.none(), st.none(), TEXT, TEXT.map(lambda text: f"app/anna/{text}")),
    documented=st.booleans(),
)


def assert_stored_below_the_prefix(
    oss: Oss,
    name: str | None,
    caller: str | None,
    filename: str | None,
    content_type: str | None,
    variables: dict[str, str],
    meta: dict[str, str],
    part_name: str,
    chosen_key: str | None,
    documented: bool,
) -> None:
    app = rules(oss, name)
    forms = Forms("app", app)
    sign = forms.sample_form if documented else forms.full_form
    upload_request = UploadRequest(filename, content_type, 1, variables, meta)
    try:
        upload = sign(upload_request, caller=caller, credential=KEY, now=datetime.now(UTC))
    except Problem:
        return
    fields = upload.fields
    if chosen_key is not None:
        # A hostile client chooses its own key.
        fields["key"] = chosen_key
    with contextlib.suppress(ValueError):  # some names are impossible in a multipart form
        oss.run(post_object(oss.cloud.session, upload.url, fields, b"x", filename=part_name or "x"))
    stored = [each["key"] for each in oss.run(oss.cloud.objects(app.bucket))]
    oss.stored += len(stored)
    assert len(stored) <= 1
    for key in stored:
        assert key.startswith(f"app/{caller}/")
        if upload.is_exact_key or chosen_key is None:
            assert upload.key in (None, key)


def settings_for(examples: int) -> settings:
    return settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@settings_for(100)
@EXAMPLES
def test_objects_are_stored_below_the_prefix(oss: Oss, **example: Any) -> None:
    assert_stored_below_the_prefix(oss, **example)


@pytest.mark.slow
@settings_for(1000)
@EXAMPLES
def test_many_objects_are_stored_below_the_prefix(oss: Oss, **example: Any) -> None:
    assert_stored_below_the_prefix(oss, **example)


@pytest.mark.slow
def test_objects_were_stored(oss: Oss) -> None:
    """Otherwise the tests above prove nothing."""
    print(f"{oss.examples} forms, {oss.stored} of them stored")
    assert oss.stored > 20
