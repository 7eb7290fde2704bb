"""`POST /-/refresh` replaces the tokens of one role or of all roles now, because they were revoked."""

import logging

from signer.clock import rfc3339
from signer.credentials.keeper_pool import KeeperPool
from signer.credentials.token_replacement import TokenReplacement
from signer.definitions.suggestions import KnownNames
from signer.errors import InvalidRequest, NotFound
from signer.http.reply import Reply, json_reply
from signer.http.router import Handler
from signer.revision import Context

log = logging.getLogger("oss_signer.credentials")

_TIMEOUT_SECONDS = 30.0
"""How long the response waits for fetches, which then continue."""
_FIX = "use /-/refresh, /-/refresh?role=NAME or /-/refresh?role=NAME&keep=true"


def refresh_handler(credentials: KeeperPool) -> Handler:
    """Return the handler of `/-/refresh`."""

    async def refresh(context: Context) -> Reply:
        """Return 200 if the source of each role returned a token, else 503, and how that ended for each role."""
        role, keep = await _parameters(context)
        fields = {"role": role, "still_used": keep, "request_id": context.request_id}
        log.info("credential refresh requested", extra=fields)
        replacements = await credentials.replace_tokens(role, keep=keep, timeout_seconds=_TIMEOUT_SECONDS)
        if role is not None and not replacements:
            names = dict.fromkeys(name.partition("/")[0] for name in context.revision.roles.keepers)
            raise NotFound(f"no role that an enabled app uses has this name; {KnownNames(names).suggestion(role)}")
        succeeded = all(replacement.succeeded for replacement in replacements)
        document = {"succeeded": succeeded, "roles": [_members(replacement) for replacement in replacements]}
        return json_reply(document, 200 if succeeded else 503)

    return refresh


async def _parameters(context: Context) -> tuple[str | None, bool]:
    """Return the role and `keep`. What is misspelled must not replace the tokens of all roles."""
    given = context.query
    if not given.keys() <= {"role", "keep"} or await context.body.read():
        raise InvalidRequest(f"the request has other parameters than role and keep, or a body; {_FIX}")
    if given.get("role") == "" or given.get("keep", "true") not in ("true", "false"):
        raise InvalidRequest(f"role is empty, or keep is not true or false; {_FIX}")
    return given.get("role"), given.get("keep") == "true"


def _members(replacement: TokenReplacement) -> dict[str, object]:
    expires_at, next_attempt_at = replacement.expires_at, replacement.next_attempt_at
    return {
        "role": replacement.role,
        "outcome": replacement.outcome,
        "expires_at": None if expires_at is None else rfc3339(expires_at),
        "error": replacement.error,
        "next_attempt_at": None if next_attempt_at is None else rfc3339(next_attempt_at),
    }
