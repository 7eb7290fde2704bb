"""Chooses the HTTP adapter: the fast one with the aiohttp versions it was verified with, else the standard one."""

import logging
import os
from collections.abc import Callable, Mapping

import aiohttp

from signer.http.dispatch import Dispatcher
from signer.http.draining_server import DrainingServer
from signer.http.fast import VERIFIED_AIOHTTP_VERSIONS, FastServer
from signer.http.standard import StandardServer

log = logging.getLogger("oss_signer")

ServerFactory = Callable[[Dispatcher], DrainingServer]

STANDARD_HTTP_VARIABLE = "OSS_SIGNER_STANDARD_HTTP"


def choose_adapter(
    environ: Mapping[str, str] = os.environ, aiohttp_version: str = aiohttp.__version__
) -> ServerFactory:
    """Return the adapter to use; log why if it is the standard one, which an environment variable can select."""
    if environ.get(STANDARD_HTTP_VARIABLE) == "1":
        reason = f"{STANDARD_HTTP_VARIABLE} is 1"
    elif aiohttp_version not in VERIFIED_AIOHTTP_VERSIONS:
        reason = f"the fast adapter is not verified with aiohttp {aiohttp_version}"
    else:
        return FastServer
    log.info("standard HTTP adapter in use", extra={"reason": reason})
    return StandardServer
