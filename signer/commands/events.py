"""List, retry or drop upload events that could not be delivered.

The dead letters are in the callback queue of a running signer, which its admin address gives access to.
"""

import argparse
import json
import os
import sys
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

from signer.commands.definition_options import add_environment_options, load_registry
from signer.definitions.quantities import format_count
from signer.definitions.redaction import visible
from signer.live.admin_client import AdminClient, CannotCallSigner, admin_url
from signer.server import event_loop

_PATH = "/-/events"
_OPTION = "--admin"
_IDS_PER_REQUEST = 1000
_SUMMARIES = {
    "list": "Print the dead letters, oldest event first.",
    "retry": "Deliver dead letters again, before the newer events of their objects.",
    "drop": "Delete dead letters.",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their options."""
    actions = parser.add_subparsers(required=True, metavar="ACTION", dest="action")
    for name, summary in _SUMMARIES.items():
        action = actions.add_parser(name, help=summary.rstrip("."), description=summary)
        if name == "list":
            action.add_argument("--app", metavar="ID", help="only those of this app")
            action.add_argument("--json", action="store_true", help="print JSON, with the whole events")
        else:
            action.add_argument("ids", nargs="*", metavar="EVENT-ID", help=f"a dead letter to {name}")
            action.add_argument("--app", metavar="ID", help="all dead letters of this app")
            action.add_argument("--all", action="store_true", help="all dead letters of all apps")
            action.set_defaults(action_parser=action)
        action.add_argument(
            _OPTION,
            metavar="URL",
            help="the admin address of a running signer, http://host:port or unix:/path (default: the one in the "
            "definitions). $OSS_SIGNER_ADMIN_TOKEN is its token (default: server.admin_token of the definitions)",
        )
        default = os.environ.get("OSS_SIGNER_CONFIG", "config")
        action.add_argument(
            "--config", default=default, help="the definitions (default: $OSS_SIGNER_CONFIG, or config)"
        )
        add_environment_options(action)


def run(options: argparse.Namespace) -> int:
    """Run the action; return 1 if a given id is not one of a dead letter."""
    if options.action == "list":
        return event_loop.run(_list(options))
    if sum((bool(options.ids), options.app is not None, options.all)) != 1:
        options.action_parser.error("name the dead letters: either ids, or --app, or --all")
    return event_loop.run(_change(options))


async def _client(options: argparse.Namespace) -> AdminClient:
    """Return a client of the signer. The definitions are not needed if its address is given."""
    token = os.environ.get("OSS_SIGNER_ADMIN_TOKEN")
    if options.admin:
        return AdminClient(options.admin, token, option=_OPTION)
    server = (await load_registry(options)).server
    if token is None and server.admin_token is not None:
        token = server.admin_token.get_secret_value()
    return AdminClient(admin_url(server, option=_OPTION), token, option=_OPTION)


async def _list(options: argparse.Namespace) -> int:
    client = await _client(options)
    found = [event async for event in _dead_letters(client, options.app)]
    if options.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return 0
    for event in found:
        print(_line(event))
    if not found:
        print("no dead letters")
    return 0


async def _dead_letters(client: AdminClient, app_id: str | None) -> AsyncIterator[dict[str, Any]]:
    query = {} if app_id is None else {"app": app_id}
    while True:
        page = await client.call("GET", f"{_PATH}?{urlencode(query)}")
        try:
            for event in page["events"]:
                yield event
            following = page["next"]
        except (TypeError, KeyError):
            raise CannotCallSigner(
                "the response lists no dead letters; use the command of the signer's version"
            ) from None
        if following is None:
            return
        query["after"] = following


def _line(event: dict[str, Any]) -> str:
    """Return a line of text. The key is what a client chose."""
    name = "/".join(str(event["event"].get(member, "?")) for member in ("bucket", "key"))
    reason = f"{format_count(event['attempts'], 'attempt')}, the last one: {event['reason']}"
    late = "; a newer upload was delivered since" if event["late"] else ""
    return visible(f"{event['id']}  {event['app']}  {event['received_at']}  {name}  {reason}{late}")


async def _change(options: argparse.Namespace) -> int:
    client = await _client(options)
    done = "retried" if options.action == "retry" else "dropped"
    count, missing = 0, []
    for selection in _selections(options):
        result = await client.call("POST", f"{_PATH}/{options.action}", selection)
        count += result[done]
        missing += result["missing"]
    print(f"{done} {format_count(count, 'event')}")
    for event_id in missing:
        print(f"{event_id} is not the id of a dead letter; see oss-signer events list", file=sys.stderr)
    return 1 if missing else 0


def _selections(options: argparse.Namespace) -> list[dict[str, object]]:
    if options.all:
        return [{"all": True}]
    if options.app is not None:
        return [{"app": options.app}]
    starts = range(0, len(options.ids), _IDS_PER_REQUEST)
    return [{"ids": options.ids[start : start + _IDS_PER_REQUEST]} for start in starts]
