"""A broken or hostile file costs bounded time and memory and is rejected with a place."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator

import pytest

from signer.definitions.mistakes import MAX_MISTAKES, BadDefinitions
from signer.definitions.parser import parse
from signer.definitions.warnings import find_warnings

HANG_SECONDS = 120.0
"""Far more than any test here needs on a slow machine."""
MAX_GROWTH_KIB = 400 * 1024

HEAD = "version: 1\ncredentials: {r: {type: ecs_ram_role}}\n"


@pytest.fixture(autouse=True)
def bounded_cost() -> Iterator[None]:
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.monotonic() - started < HANG_SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MAX_GROWTH_KIB


def rejected(text: str) -> BadDefinitions:
    with pytest.raises(BadDefinitions) as raised:
        parse({"a.yaml": text}, {})
    assert str(raised.value)
    return raised.value


@pytest.mark.parametrize("opener", ["[", "{a: ", "- ", "? ", "[{a: ", "- - ? "])
@pytest.mark.parametrize("levels", [40, 3_000, 200_000])
def test_deep_nesting_does_not_crash_the_process(opener: str, levels: int) -> None:
    assert "nested deeper than 32 levels" in str(rejected(opener * levels))


def test_deep_indentation_does_not_crash_the_process() -> None:
    rejected("".join(f"{' ' * level}a:\n" for level in range(3_000)))


@pytest.mark.parametrize("levels", [5, 12, 60])
def test_aliases_do_not_explode(levels: int) -> None:
    lines = [f"a0: &a0 [{', '.join('x' * 10)}]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    error = rejected("\n".join(lines))
    assert "add more than 10,000 values" in str(error)


@pytest.mark.parametrize("text", ["a: &a [*a, *a]", "a: &a {b: *a, c: *a}", "&a [*a]", "a: &a\n  - *a\n  - {b: *a}"])
def test_a_value_that_contains_itself_is_rejected(text: str) -> None:
    rejected(text)


def test_a_few_aliases_are_accepted() -> None:
    apps = "\n".join(f"  a{n}: {{key_prefix: '', bucket: photos-{n}, rate_limit: *limit}}" for n in range(200))
    first = "  first: {key_prefix: '', bucket: photos, rate_limit: &limit {per_app: 5/s}}"
    registry = parse(
        {"a.yaml": f"{HEAD}defaults: {{region: cn-hangzhou, credentials: r}}\napps:\n{first}\n{apps}\n"}, {}
    )
    assert registry.apps["a7"].rate_limit.per_app == (5, 1)


@pytest.mark.parametrize(
    "app",
    [
        "{}",
        "{key_prefix: '', bucket: Photos}",
        "{key_prefix: '', bucket: '${A} ${B}'}",
        "{bukket: a}",
        "{key_prefix: '', bucket: bbb, region: cn-hangzhou, credentials: xx%}",
    ],
)
def test_ten_thousand_mistakes_give_a_bounded_report(app: str) -> None:
    apps = "".join(f"  app-{n}: {app.replace('%', str(n))}\n" for n in range(10_000))
    entries = "".join(f"  {'xy'[n % 2]}{n}: {{type: ecs_ram_role}}\n" for n in range(2_000))
    error = rejected(f"version: 1\ncredentials:\n{entries}apps:\n{apps}")
    assert len(error.mistakes) == MAX_MISTAKES
    assert len(str(error)) < 500_000


def test_a_mistake_in_defaults_is_reported_once() -> None:
    apps = "".join(f"  app-{n}: {{key_prefix: '', bucket: photos}}\n" for n in range(2_000))
    error = rejected(f"{HEAD}defaults: {{region: oss-cn-hangzhou, credentials: r, bukket: x}}\napps:\n{apps}")
    assert [mistake.place.line for mistake in error.mistakes] == [3, 3]


def test_prefixes_of_ten_thousand_apps_are_compared_quickly() -> None:
    apps = "".join(f"  a{n}: {{bucket: photos, key_prefix: '{'p' * (n % 90 + 1)}/{n // 90}'}}\n" for n in range(10_000))
    limits = "rate_limit: {per_caller: 5/s}"
    registry = parse(
        {"a.yaml": f"{HEAD}defaults: {{region: cn-hangzhou, credentials: r, {limits}}}\napps:\n{apps}"}, {}
    )
    # For each number of p's: all of 10 to 111 begin with a shorter number.
    overlaps = [each for each in find_warnings(registry) if "below the prefix" in each.message]
    assert len(overlaps) == 10_000 - 90 * 10


@pytest.mark.parametrize(
    "text", ["secret " * 200_000, 'access_key_secret: "x\n' * 20_000, "a_secret: *b\n" * 20_000 + "["]
)
def test_hiding_secrets_is_quick(text: str) -> None:
    rejected(f"{text}\n]")


def test_a_chain_of_ten_thousand_sources_is_rejected() -> None:
    role = "type: assume_role, role_arn: 'acs:ram::1:role/x'"
    entries = "".join(f"  r{n}: {{{role}, source: r{(n + 1) % 10_000}}}\n" for n in range(10_000))
    rejected(f"version: 1\ncredentials:\n{entries}apps: {{}}\n")
