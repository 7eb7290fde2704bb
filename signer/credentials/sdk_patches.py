"""Changes to Alibaba's SDKs: no output, no threads, the Date of each response; and all their private names in use.

Verified with alibabacloud_credentials 1.0.12, alibabacloud-tea 0.4.3 and darabonba-core 1.0.9. What is replaced, why,
and which change in the SDKs makes it unnecessary:

- `DaraCore.async_do_action`, `TeaCore.async_do_action`: the functions that send each request. They are wrapped to
  record the Date header, since a wrong clock shows first in a rejected request, and the SDKs' exceptions have no
  headers. Unnecessary when exceptions have the response headers.
- `darabonba.core.ssl`: each call creates a TLS context and loads two files of certificate authorities, which takes tens
  of milliseconds. The context is shared for some minutes. Unnecessary when a client keeps its context or connections.
- `ecs_ram_role.BackgroundScheduler`, `ecs_ram_role.atexit`: each metadata provider starts a scheduler thread that is
  never stopped and registers it with `atexit`, although `async_update_enabled=False` turns its job off. Unnecessary
  when the provider starts the scheduler only if that is true.
- `auth_util.environment_imds_v1_disabled`: the default chain falls back to the normal mode (v1) of the metadata service
  unless the environment forbids it. Unnecessary when the chain no longer does.
- The handlers of four loggers: the SDKs attach handlers to stderr when they are imported, and log request headers.
  Unnecessary when they attach none.
- `EcsRamRoleCredentialsProvider.__metadata_service_host`: the only way to set the address of the metadata service.
  Unnecessary when `Config.host` is used, which the provider accepts and ignores.
- `DefaultCredentialsProvider.__last_used_provider`: the only way to the expiration of the default chain's credential.
  Unnecessary when the chain passes the expiration on.
"""

import contextlib
import logging
import ssl
import threading
import time
from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import certifi
import darabonba.core
from alibabacloud_credentials.provider import DefaultCredentialsProvider, ecs_ram_role
from alibabacloud_credentials.provider.ecs_ram_role import EcsRamRoleCredentialsProvider
from alibabacloud_credentials.utils import auth_util
from darabonba.core import DaraCore
from Tea.core import TeaCore

from signer.credentials.clock_skew import ServerDate

_LOGGERS = ("credentials", "alibabacloud-tea", "darabonba-core", "apscheduler")
_TLS_CONTEXT_SECONDS = 300.0
_lock = threading.Lock()


def patch_sdks(record: Callable[[ServerDate], None]) -> None:
    """Apply all replacements; later calls do nothing. `record` gets the Date of each response, of errors too."""
    with _lock:
        if ecs_ram_role.BackgroundScheduler is _Inert:
            return
        DaraCore.async_do_action = staticmethod(_record_dates(DaraCore.async_do_action, record))
        TeaCore.async_do_action = staticmethod(_record_dates(TeaCore.async_do_action, record))
        darabonba.core.ssl = SimpleNamespace(**{**vars(ssl), "create_default_context": _shared_tls_context})
        ecs_ram_role.BackgroundScheduler = ecs_ram_role.atexit = _Inert
        auth_util.environment_imds_v1_disabled = "true"
        for name in _LOGGERS:
            logger = logging.getLogger(name)
            logger.handlers.clear()
            logger.setLevel(logging.CRITICAL)


def renew_tls_context() -> None:
    """Load the certificate authorities of this machine again before the next call."""
    _tls_context_of.cache_clear()


def _shared_tls_context(*_arguments: object) -> ssl.SSLContext:
    """Return the context of all calls, which trusts the authorities of some minutes ago."""
    return _tls_context_of(int(time.monotonic() / _TLS_CONTEXT_SECONDS))


@lru_cache(maxsize=1)
def _tls_context_of(_period: int) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    # The SDK loads certifi's file again for each call.
    setattr(context, "load_verify_locations", _Inert.ignore)  # noqa: B010
    return context


def set_metadata_host(provider: EcsRamRoleCredentialsProvider, host: str) -> None:
    """Send the provider's requests to `host` (name or address, and port) instead of 100.100.100.200."""
    provider._EcsRamRoleCredentialsProvider__metadata_service_host = host


def last_used_provider(chain: DefaultCredentialsProvider) -> Any:
    """Return the provider of the chain's last credential."""
    return chain._DefaultCredentialsProvider__last_used_provider


def _record_dates(
    send: Callable[..., Awaitable[Any]], record: Callable[[ServerDate], None]
) -> Callable[..., Awaitable[Any]]:
    async def send_and_record(request: Any, runtime_option: Any = None) -> Any:
        requested_at = time.monotonic()
        response = await send(request, runtime_option)
        with contextlib.suppress(KeyError, TypeError, ValueError):
            date = parsedate_to_datetime(response.headers["date"])
            record(ServerDate(request.headers["host"], date, requested_at, time.monotonic()))
        return response

    return send_and_record


class _Inert:
    """Replaces APScheduler's BackgroundScheduler and the module atexit."""

    @staticmethod
    def ignore(*_arguments: object, **_options: object) -> None: ...

    add_job = start = shutdown = register = ignore
