"""The app of the demo for requests whose app id is not in the definitions, such as a developer's own mini-program."""

import logging

from multidict import MultiMapping

from signer.definitions.registry import Registry
from signer.http.router import AppNaming

log = logging.getLogger("oss_signer")


def with_default_app(app_of_request: AppNaming) -> AppNaming:
    """Return an app naming that replaces unknown ids by the default app, and logs it."""

    def app_or_default(parameter: str, target: str, headers: MultiMapping[str], registry: Registry) -> str | None:
        app_id = app_of_request(parameter, target, headers, registry)
        if app_id is None or app_id in registry.apps:
            return app_id
        default = _default_app(registry)
        if default is not None:
            log.warning("unknown app replaced by the default app", extra={"app": app_id, "default_app": default})
        return default or app_id

    return app_or_default


def _default_app(registry: Registry) -> str | None:
    """Return `default_app`, else the first enabled app, else None."""
    return registry.default_app or next((app.id for app in registry.apps.values() if app.enabled), None)
