"""The addresses that the signer listens on: `host:port`, `[v6]:port` and `unix:/path`."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path

PATTERN = r"^(?:(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}|unix:/[^\x00-\x20\x7f]{1,100})$"
"""For the JSON schema; `ListenAddress.parse` checks the port's range as well."""

_UNIX_PREFIX = "unix:"
_MAX_PORT = 65535
_LOOPBACK_OF_WILDCARD = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """A TCP address, or the path of a Unix socket; `path` is set for the latter only."""

    host: str = ""
    """Without brackets."""
    port: int = 0
    """0: the system chooses a free port."""
    path: Path | None = None

    @classmethod
    def parse(cls, text: str) -> ListenAddress:
        """Parse the text of an address, or raise a ValueError whose text is how to write it."""
        match = re.fullmatch(PATTERN, text, re.ASCII)
        if text.startswith(_UNIX_PREFIX):
            if match is None:
                raise ValueError("not an address; write unix: and an absolute path of at most 100 characters")
            return cls(path=Path(text.removeprefix(_UNIX_PREFIX)))
        if match is None:
            raise ValueError("not an address; write host:port, like 0.0.0.0:5000, or unix:/path")
        host, _, port = text.rpartition(":")
        if int(port) > _MAX_PORT:
            raise ValueError(f"not an address; the port must be at most {_MAX_PORT}")
        return cls(host.strip("[]"), int(port))

    def __str__(self) -> str:
        return f"{_UNIX_PREFIX}{self.path}" if self.path is not None else f"{_bracketed(self.host)}:{self.port}"

    @property
    def family(self) -> socket.AddressFamily:
        """The address family of its socket."""
        if self.path is not None:
            return socket.AF_UNIX
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    @property
    def is_local(self) -> bool:
        """Whether only this machine can connect to it."""
        if self.path is not None or self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    def url(self, *, tls: bool = False) -> str:
        """Return the base URL at which this machine reaches it; `unix:/path` for a Unix socket."""
        if self.path is not None:
            return str(self)
        host = _LOOPBACK_OF_WILDCARD.get(self.host, self.host)
        return f"{'https' if tls else 'http'}://{_bracketed(host)}:{self.port}"

    def for_worker(self, worker: int) -> ListenAddress:
        """Return the address of one of several workers on a machine, counted from 1.

        The first has the address as configured. Each next has the next port, or for `admin.sock` the path
        `admin-2.sock` and so on.
        """
        if worker == 1:
            return self
        if self.path is not None:
            return replace(self, path=self.path.with_name(f"{self.path.stem}-{worker}{self.path.suffix}"))
        return replace(self, port=self.port + worker - 1) if self.port else self


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
