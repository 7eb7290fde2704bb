"""The section of the page with the roles and their tokens."""

from __future__ import annotations

from datetime import timedelta

from markupsafe import Markup

from signer.admin.status import number_format
from signer.admin.status.charts import token_bar
from signer.admin.status.snapshot import StatusSnapshot
from signer.credentials.refresh_windows import TokenState
from signer.credentials.role import RoleState

_STATES = {
    TokenState.FRESH: ("fresh", ""),
    TokenState.SHORT: ("too short", "warn"),
    TokenState.UNUSABLE: ("no token", "bad"),
}
"""The words for each state, and their class in the style sheet."""
_ONE_SECOND = timedelta(seconds=1)


def roles_section(snapshot: StatusSnapshot) -> Markup:
    """Render the section."""
    more = snapshot.matching_roles - len(snapshot.shown_roles)
    return Markup(
        '<h2 id="roles-title">Roles <span class="quiet">{}</span></h2>'
        '<table class="roles"><thead><tr><th>Role</th><th>State</th><th>Time left</th>'
        '<th class="number">Apps</th><th class="number">Next refresh</th></tr></thead><tbody>{}</tbody></table>{}{}'
    ).format(
        number_format.part_of(snapshot.matching_roles, len(snapshot.roles)),
        Markup("").join(_row(role, snapshot) for role in snapshot.shown_roles),
        Markup("") if snapshot.shown_roles else Markup('<p class="quiet">No role matches.</p>'),
        Markup('<p class="quiet">and {} more; roles with problems come first</p>').format(number_format.count(more))
        if more > 0
        else Markup(""),
    )


def _row(role: RoleState, snapshot: StatusSnapshot) -> Markup:
    state, kind = _STATES[role.token_state]
    if role.circuit_open:
        state += ", fetching paused"
    error = Markup("")
    if role.last_error is not None:
        error = Markup('<tr class="error" data-key="{}/error"><td colspan="5">{}</td></tr>').format(
            role.role, role.last_error
        )
    return Markup(
        '<tr data-key="{}"><th scope="row">{}</th><td data-label="State"><span class="state {}">{}</span></td>'
        '<td data-label="Time left" class="life">{}</td><td data-label="Apps" class="number">{}</td>'
        '<td data-label="Next refresh" class="number">{}</td></tr>{}'
    ).format(
        role.role,
        role.role,
        kind or ("warn" if role.last_error else ""),
        state,
        _time_left(role, kind),
        number_format.count(snapshot.apps_of_role.get(role.role, 0)),
        "–" if role.next_attempt_at is None else _time_until(role.next_attempt_at - snapshot.at),
        error,
    )


def _time_left(role: RoleState, kind: str) -> Markup:
    if role.remaining is None:
        text = "–" if role.token_state is TokenState.UNUSABLE else "does not expire"
        return Markup('<span class="quiet">{}</span>').format(text)
    if role.remaining <= timedelta():
        return Markup('{}<span class="{}">expired {} ago</span>').format(
            token_bar(0, 0, kind, "nothing left"), kind, number_format.duration(-role.remaining)
        )
    life = role.remaining if role.fetched_at is None or role.expires_at is None else role.expires_at - role.fetched_at
    life = max(life, _ONE_SECOND)
    share = role.remaining / life
    label = f"{100 * min(1.0, share):.0f} % of the token's life left"
    return Markup('{}<span class="span">{}</span>').format(
        token_bar(share, role.required_life / life, kind, label), number_format.duration(role.remaining)
    )


def _time_until(length: timedelta) -> str:
    return "now" if length <= _ONE_SECOND else f"in {number_format.duration(length)}"
