"""The status as a page for people, rendered from the files in templates/."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from signer.admin.status import number_format
from signer.admin.status.alerts import Alert, find_alerts
from signer.admin.status.app_summary import place, signed_for, signs
from signer.admin.status.charts import HEIGHT, WIDTH, charts
from signer.admin.status.snapshot import APPS_PER_PAGE, StatusSnapshot
from signer.credentials.role import RoleState

if TYPE_CHECKING:
    from jinja2 import Template

_MAX_LINES = 100
"""Of the changes and of the mistakes of a reload."""


def status_page(snapshot: StatusSnapshot) -> str:
    """Return the HTML document."""
    alerts = find_alerts(snapshot)
    state, kind = _state(snapshot, alerts)
    return _template().render(
        snapshot=snapshot, alerts=alerts, state=state, kind=kind, charts=charts(snapshot.points, snapshot.has_callbacks)
    )


@cache
def _template() -> Template:
    # Without a visitor of the page, the signer starts faster and smaller without Jinja.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(Path(__file__).parent / "templates")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    formats = ("count", "duration", "milliseconds", "moment", "number", "part_of", "size")
    environment.filters |= {name: getattr(number_format, name) for name in formats} | {"lifetime_bar": lifetime_bar}
    environment.filters |= {"place": place, "signed_for": signed_for, "signs": signs}
    environment.globals.update(
        apps_per_page=APPS_PER_PAGE, height=HEIGHT, max_lines=_MAX_LINES, one_second=timedelta(seconds=1), width=WIDTH
    )
    return environment.get_template("page.html")


def _state(snapshot: StatusSnapshot, alerts: list[Alert]) -> tuple[str, str]:
    """Return the state of the signer in words, and its class in the style sheet."""
    if not snapshot.is_ready:
        return "not ready", "bad"
    if not alerts:
        return "ready", "good"
    return "ready, with alerts", "bad" if any(alert.is_severe for alert in alerts) else "warn"


@dataclass(frozen=True, slots=True)
class LifetimeBar:
    """The bar that shows how much of a token's lifetime is left, from 0 to 100."""

    left_percent: float
    tick_percent: float
    """Where forms begin to expire before their app's `expires`."""
    label: str


def lifetime_bar(role: RoleState) -> LifetimeBar | None:
    """Return the bar of a role's token; None without a token that expires."""
    if role.remaining is None:
        return None
    if role.remaining <= timedelta():
        return LifetimeBar(0, 0, "nothing left")
    lifetime = (
        role.remaining if role.fetched_at is None or role.expires_at is None else role.expires_at - role.fetched_at
    )
    lifetime = max(lifetime, timedelta(seconds=1))
    left_percent = 100 * min(1.0, role.remaining / lifetime)
    return LifetimeBar(
        left_percent, 100 * (role.required_lifetime / lifetime), f"{left_percent:.0f} % of the token's lifetime left"
    )
