"""Signs with the program openssl, which shares no code with this project."""

from __future__ import annotations

import subprocess
from pathlib import Path


def sign_sha256(key: Path, data: bytes) -> bytes:
    """Return the RSA signature (PKCS #1, SHA-256) of the data; `key` is a file in PEM."""
    command = ["openssl", "dgst", "-sha256", "-sign", str(key)]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout
