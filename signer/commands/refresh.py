"""Make the running signers on this machine fetch new tokens now, because the old ones were revoked.

The old tokens are not used any more, even if no new ones can be fetched: then the apps of the role get 503. With
`--keep`, they are used until the new ones arrive.
"""

import argparse
import asyncio
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from signer.definitions.redaction import visible
from signer.live.admin_client import AdminClient, CannotCallSigner
from signer.server import event_loop
from signer.server.reload_record import ReloadRecord

_OPTION = "--admin"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "role", nargs="?", metavar="ROLE", help="an entry under credentials (default: those of all enabled apps)"
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="for tokens that are not revoked: use them until the new ones arrive, instead of refusing requests",
    )
    parser.add_argument(
        _OPTION,
        action="append",
        metavar="URL",
        help="the admin address of a running signer, http://host:port or unix:/path; repeatable (default: those of all "
        "signers in --runtime-dir). $OSS_SIGNER_ADMIN_TOKEN is their token",
    )
    parser.add_argument(
        "--runtime-dir",
        type=Path,
        default=os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0] or "/run/oss-signer",
        help="the runtime directory of the signers (default: $RUNTIME_DIRECTORY, or /run/oss-signer)",
    )


def run(options: argparse.Namespace) -> int:
    """Refresh the tokens of each signer; return 1 if a signer does not respond, or a token is not fetched."""
    urls = options.admin or _running_signers(options.runtime_dir)
    return event_loop.run(_refresh(urls, options.role, keep=options.keep))


def _running_signers(runtime_directory: Path) -> list[str]:
    """Return the admin addresses of the signers that run, or raise `CannotCallSigner`."""
    urls = []
    try:
        for path in ReloadRecord.paths(runtime_directory):
            with contextlib.suppress(FileNotFoundError, ValueError, TypeError):
                record = ReloadRecord.read(path)
                if record.admin_url and _is_running(record.pid):
                    urls.append(record.admin_url)
    except PermissionError as error:
        raise CannotCallSigner(f"{error.filename}: permission denied; run the command as root") from None
    if not urls:
        raise CannotCallSigner(
            f"no running signer found in {runtime_directory}; write its admin address: {_OPTION} URL"
        )
    return urls


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:  # It runs as another user.
        return True
    except OSError:
        return False
    return True


async def _refresh(urls: Sequence[str], role: str | None, *, keep: bool) -> int:
    results = await asyncio.gather(*(_refresh_signer(url, role, keep=keep) for url in urls))
    for url, (lines, succeeded) in zip(urls, results, strict=True):
        for line in lines:
            print(visible(f"{url}  {line}"), file=sys.stdout if succeeded else sys.stderr)
    return 0 if all(succeeded for _, succeeded in results) else 1


async def _refresh_signer(url: str, role: str | None, *, keep: bool) -> tuple[list[str], bool]:
    """Return what happened to each role of a signer, as lines, and whether all of it succeeded."""
    query = urlencode(({} if role is None else {"role": role}) | ({"keep": "true"} if keep else {}))
    client = AdminClient(url, os.environ.get("OSS_SIGNER_ADMIN_TOKEN"), option=_OPTION)
    try:
        found = await client.call("POST", f"/-/refresh?{query}", statuses=(200, 503))
        return [_line(each, keep=keep) for each in found["roles"]] or ["no role to refresh"], bool(found["succeeded"])
    except CannotCallSigner as error:
        return [str(error)], False
    except (TypeError, KeyError):
        return ["the response lists no roles; use the command of the signer's version"], False


def _line(result: dict[str, Any], *, keep: bool) -> str:
    """Return what happened to one role."""
    expiry = f"expires at {result['expires_at']}" if result["expires_at"] else "does not expire"
    unused = "the old token is used until then" if keep else "the old token is not used any more"
    described = {
        "replaced": f"new token, {expiry}",
        "unchanged": f"the source returned the same token again, which is used; it {expiry}",
        "failed": f"{result['error']}; next attempt at {result['next_attempt_at']}; {unused}",
        "waiting": f"still waits for a token; {unused}",
        "removed": "removed by a reload",
    }
    return f"{result['role']}: {described[result['outcome']]}"
