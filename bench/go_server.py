"""Builds and runs the Go server that does the signer's job (go_signer/)."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.errors import CannotMeasure
from bench.processes import SERVER_CORE, Cloud, Server, listening

BUCKET = "photos-0"
_SOURCE = Path(__file__).with_name("go_signer")


@contextlib.contextmanager
def running(cloud: Cloud, apps: Sequence[str]) -> Iterator[Server]:
    """Run the server for these apps on the server's core, in one thread of Go.

    Raises:
        CannotMeasure: It cannot be built, or did not start.
    """
    with tempfile.TemporaryDirectory() as directory:
        program = f"{directory}/go_signer"
        build = ["go", "build", "-o", program, "."]
        result = subprocess.run(build, cwd=_SOURCE, capture_output=True, text=True, check=False)  # noqa: S603
        if result.returncode != 0:
            raise CannotMeasure(f"go build failed:\n{result.stderr}")
        command = [program, "{fd}", cloud.metadata, BUCKET, *apps]
        path = f"/generate_signature?app_id={apps[0]}"
        with listening(command, path, core=SERVER_CORE, environ={"GOMAXPROCS": "1"}) as server:
            yield server
