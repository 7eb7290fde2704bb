"""CPU time of a gallery: one request for the URLs of 100 thumbnails. `python -m bench.galleries`

The signer's user and system time is read from /proc before and after the requests of one connection, so other programs
disturb it little. The keys, the style and the token of the role are of usual lengths, and the audit log is written.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import tempfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from bench.bounds import Bound, as_json, bounds_table, compare
from bench.errors import CannotMeasure
from bench.process_usage import cpu_seconds
from bench.processes import Cloud, Signer, local_cloud, signer
from bench.results import write_result
from bench.tables import Table

KEYS = 100
_API_KEY = "bench-api-key"
_CALLER = "oW0Rm5a1b2c3d4e5f6g7h8i9j0kl"
"""As long as an openid."""
_WARM_UP_REQUESTS = 50

BOUNDS = (Bound("100 thumbnails, CPU ms", lambda figures: figures["100 thumbnails"], max_value=3),)

Figures = dict[str, float]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the CPU time of a request in milliseconds; the exit status is 1 if it could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m bench.galleries", description=__doc__)
    parser.add_argument("--requests", type=int, default=500, help="of each kind in a round; default: 500")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    options = parser.parse_args(arguments)
    try:
        figures = measure(options.requests, options.rounds)
    except CannotMeasure as error:
        sys.stderr.write(f"{error}\n")
        return 1
    rows = [(kind, f"{milliseconds:.3f}") for kind, milliseconds in figures.items()]
    sys.stdout.write(Table(("request", "CPU ms"), rows).text() + bounds_table(compare(BOUNDS, figures)).text())
    write_result("galleries", {"milliseconds": figures, "bounds": as_json(BOUNDS, figures)})
    return 0


def measure(requests: int, rounds: int) -> Figures:
    """Return the median CPU time of each kind of request in milliseconds."""
    kinds = {
        "one URL": {"keys": _keys(1)},
        "100 URLs": {"keys": _keys(KEYS)},
        "100 thumbnails": {"keys": _keys(KEYS), "style": "thumb"},
    }
    with (
        local_cloud() as cloud,
        tempfile.TemporaryDirectory() as directory,
        signer(_definitions(cloud, Path(directory))) as running,
    ):
        client = _Client(running)
        for body in kinds.values():
            client.milliseconds(body, _WARM_UP_REQUESTS)
        found = [{kind: client.milliseconds(body, requests) for kind, body in kinds.items()} for _ in range(rounds)]
    return {kind: sorted(each[kind] for each in found)[rounds // 2] for kind in kinds}


class _Client:
    """One connection to the signer."""

    def __init__(self, running: Signer) -> None:
        self._pid = running.pid
        self._connection = http.client.HTTPConnection(urlsplit(running.public).netloc, timeout=60)

    def milliseconds(self, body: object, requests: int) -> float:
        """Return the signer's CPU time of a request; raise `CannotMeasure` unless each gets all its URLs."""
        content = json.dumps(body)
        headers = {"Content-Type": "application/json", "X-Api-Key": _API_KEY, "X-Caller": _CALLER}
        before = cpu_seconds(self._pid)
        for _ in range(requests):
            self._connection.request("POST", "/v1/apps/album/downloads", content, headers)
            response = self._connection.getresponse()
            text = response.read()
            if response.status != 200 or b'"problem"' in text:
                raise CannotMeasure(f"the signer responded {response.status}: {text[:500].decode()}")
        return 1000 * (cpu_seconds(self._pid) - before) / requests


def _keys(count: int) -> list[str]:
    return [f"photos/{_CALLER}/2026/11/{number:032x}.jpg" for number in range(count)]


def _definitions(cloud: Cloud, directory: Path) -> str:
    return f"""
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
audit: {directory}/audit.log
credentials: {{uploader: {{type: ecs_ram_role, endpoint: "{cloud.metadata}"}}}}
apps:
  album:
    bucket: photos-0
    region: cn-hangzhou
    credentials: uploader
    key_prefix: photos/{{caller}}/{{yyyy}}/{{mm}}/
    callers: {{type: api_key, keys: {{bench: {sha256(_API_KEY.encode()).hexdigest()}}}}}
    rate_limit: {{per_caller: 1000000/s}}
    downloads:
      expires: 30m
      window: 10m
      styles: {{thumb: "image/resize,w_200/format,webp"}}
      disposition: inline
"""


if __name__ == "__main__":
    sys.exit(main())
