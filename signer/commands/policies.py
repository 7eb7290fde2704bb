"""Print what the definitions need of the cloud: RAM policies for each role, CORS and lifecycle rules for each bucket.

The policies allow exactly what the apps, `doctor` and the chain of roles need, below exactly their prefixes.
"""

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TypeVar

from signer.commands.definition_options import add_definition_options, load_registry
from signer.commands.domains import APIS, domains_of
from signer.doctor.bucket_rules import Rules, as_xml, cors_rules, days_until_abandoned, lifecycle_rules
from signer.doctor.grants import MAX_POLICIES, Identity, as_json, identities
from signer.doctor.plan import BucketUse, Plan, make_plan
from signer.doctor.remedies import RAM_CONSOLE, bucket_page
from signer.server import event_loop

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Bucket:
    """The rules that a bucket needs; None if no app needs them."""

    region: str
    cors: Rules | None
    lifecycle: Rules | None
    domains: Mapping[str, list[str]]
    """By API of WeChat."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_definition_options(parser)
    parser.add_argument("--role", metavar="NAME", help="only this entry under credentials, and no buckets")
    parser.add_argument("--bucket", metavar="NAME", help="only this bucket, and no roles")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print policies and rules; return 1 when there is no such role or bucket."""
    plan = make_plan(event_loop.run(load_registry(options)), None)
    roles, buckets = identities(plan), _buckets(plan)
    if options.role is not None or options.bucket is not None:
        try:
            roles = {} if options.role is None else _only("role", options.role, roles)
            buckets = {} if options.bucket is None else _only("bucket", options.bucket, buckets)
        except KeyError as error:
            print(error.args[0])
            return 1
    print(_as_json(roles, buckets) if options.json else "\n".join(_as_text(roles, buckets)))
    return 0


def _only(what: str, name: str, found: Mapping[str, Found]) -> dict[str, Found]:
    if name not in found:
        known = f"use one of: {', '.join(sorted(found))}" if found else "no enabled app uses any"
        raise KeyError(f"unknown {what}; {known}")
    return {name: found[name]}


def _buckets(plan: Plan) -> dict[str, Bucket]:
    """Return the rules of each bucket, whichever roles use it."""
    uses: dict[str, list[BucketUse]] = {}
    for use in plan.buckets:
        uses.setdefault(use.bucket, []).append(use)
    return {name: _bucket(plan, found) for name, found in uses.items()}


def _bucket(plan: Plan, uses: list[BucketUse]) -> Bucket:
    origins = sorted({origin for use in uses for origin in plan.origins.get(use, ())})
    methods = _distinct(plan.methods[use, origin] for use in uses for origin in plan.origins.get(use, ()))
    lifetimes = [each for use in uses for each in plan.part_lifetimes(use).items()]
    prefixes = sorted({prefix for prefix, _ in lifetimes})
    days = days_until_abandoned(lifetime for _, lifetime in lifetimes)
    apps = [plan.registry.apps[app_id] for use in uses for app_id in plan.buckets[use]]
    domains = [domains_of(app) for app in apps]
    return Bucket(
        region=uses[0].region,
        cors=cors_rules(origins, methods) if origins else None,
        lifecycle=lifecycle_rules(prefixes, days) if prefixes else None,
        domains={api: _distinct(each[place] for each in domains) for place, api in enumerate(APIS)},
    )


def _distinct(lists: Iterable[Iterable[str]]) -> list[str]:
    return [*dict.fromkeys(each for listed in lists for each in listed)]


def _as_json(roles: Mapping[str, Identity], buckets: Mapping[str, Bucket]) -> str:
    document = {
        "roles": {
            name: {"what": role.what, "policies": role.policies, "trust_policy": role.trust}
            for name, role in roles.items()
        },
        "buckets": {name: asdict(bucket) for name, bucket in buckets.items()},
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _as_text(roles: Mapping[str, Identity], buckets: Mapping[str, Bucket]) -> Iterator[str]:
    for name, role in roles.items():
        yield f"credentials.{name}: {role.what}"
        if len(role.policies) > MAX_POLICIES:
            yield f"warning: RAM attaches at most {MAX_POLICIES} policies of your own; give apps a common prefix"
        for number, policy in enumerate(role.policies, 1):
            of_several = f" {number} of {len(role.policies)}" if len(role.policies) > 1 else ""
            yield f"\npolicy{of_several}: {RAM_CONSOLE}/policies/new > JSON, then grant it\n{as_json(policy)}"
        if role.trust is not None:
            yield f"\ntrust policy: {RAM_CONSOLE}/roles > the role > Trust Policy\n{as_json(role.trust)}"
        yield ""
    for name, bucket in buckets.items():
        yield f"bucket {name} ({bucket.region})"
        for rules, what, page in (
            (bucket.cors, "CORS", "Content Security > CORS"),
            (bucket.lifecycle, "lifecycle", "Data Management > Lifecycle"),
        ):
            if rules is not None:
                yield f"\n{what} rules: {bucket_page(name, bucket.region, page)}\n{as_xml(rules)}"
        for api, domains in bucket.domains.items():
            if domains:
                yield f"\n{api} domains in the WeChat console: {' '.join(domains)}"
        yield ""
