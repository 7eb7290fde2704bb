"""`/readyz`: whether this process can sign, and the state of each role."""

from signer.clock import rfc3339
from signer.credentials.role import RoleState, can_sign
from signer.http.reply import Reply, json_reply
from signer.http.router import Handler
from signer.revision import Context
from signer.service import Service


def readyz_handler(service: Service) -> Handler:
    """Return the handler of `/readyz`."""

    async def readyz(context: Context) -> Reply:
        """Return 200 if every role that an enabled app uses has a usable token and the clock is accurate, else 503.

        `?roles=any` requires only one usable role. It is for load balancers: otherwise one app's broken role would take
        all signers out of service. It does not mean that the others have tokens: a pending role gets its token when the
        pace of the fetches allows, or with its first request, which waits for it.
        """
        roles = service.role_states()
        skew = service.clock_skew
        usable = [role for role in roles if role.is_usable]
        required = usable or roles if context.query.get("roles") == "any" else roles
        is_ready = can_sign(required, skew.seconds())
        document = {
            "ready": is_ready,
            "apps": len(context.revision.registry.apps),
            "usable_roles": len(usable),
            "pending_roles": sum(role.is_pending for role in roles),
            "unusable_roles": [role.role for role in roles if not role.is_usable],
            "clock": {"state": skew.state(), "skew_seconds": round(skew.seconds(), 1)},
            "roles": [role_members(role) for role in roles],
        }
        return json_reply(document, 200 if is_ready else 503)

    return readyz


def ready_only(readyz: Handler) -> Handler:
    """Return a handler whose reply is only whether the signer is ready, without its roles."""

    async def handler(context: Context) -> Reply:
        reply = await readyz(context)
        return json_reply({"ready": reply.status == 200}, reply.status)

    return handler


def role_members(role: RoleState) -> dict[str, object]:
    """Return the JSON members of a role's state."""
    return {
        "role": role.role,
        "state": role.token_state,
        "usable": role.is_usable,
        "pending": role.is_pending,
        "circuit_open": role.circuit_open,
        "expires_at": None if role.expires_at is None else rfc3339(role.expires_at),
        "expires_in_seconds": None if role.remaining is None else round(role.remaining.total_seconds(), 1),
        "last_error": role.last_error,
        "next_attempt_at": None if role.next_attempt_at is None else rfc3339(role.next_attempt_at),
    }
