"""The section of the page with the apps and their requests of the last hour."""

from __future__ import annotations

from urllib.parse import urlencode

from markupsafe import Markup

from signer.admin.status import number_format
from signer.admin.status.snapshot import APPS_PER_PAGE, AppRow, StatusSnapshot


def apps_section(snapshot: StatusSnapshot) -> Markup:
    """Render the section."""
    return Markup(
        '<h2 id="apps-title">Apps <span class="quiet">{}, the busiest in the last hour first</span></h2>'
        '<table class="apps"><thead><tr><th>App</th><th>Name</th><th>Bucket</th><th>Role</th>'
        '<th class="number">Signed</th><th class="number">Rejected</th><th class="number">Failed</th></tr></thead>'
        "<tbody>{}</tbody></table>{}{}"
    ).format(
        number_format.part_of(snapshot.matching_apps, snapshot.apps),
        Markup("").join(map(_row, snapshot.shown_apps)),
        Markup("") if snapshot.shown_apps else Markup('<p class="quiet">No app matches.</p>'),
        _page_links(snapshot),
    )


def _row(row: AppRow) -> Markup:
    app, counts = row.app, row.counts
    return Markup(
        '<tr data-key="{}"{}><th scope="row"><code>{}</code>{}</th><td data-label="Name">{}</td>'
        '<td data-label="Bucket">{}</td><td data-label="Role">{}</td>'
        '<td data-label="Signed" class="number">{}</td><td data-label="Rejected" class="number">{}</td>'
        '<td data-label="Failed" class="number{}">{}</td></tr>'
    ).format(
        app.id,
        Markup("") if app.enabled else Markup(' class="off"'),
        app.id,
        Markup("") if app.enabled else Markup(' <span class="tag">off</span>'),
        app.name,
        app.rules.bucket,
        app.role,
        number_format.count(counts.signed),
        number_format.count(counts.refused),
        " bad" if counts.failed else "",
        number_format.count(counts.failed),
    )


def _page_links(snapshot: StatusSnapshot) -> Markup:
    if snapshot.pages == 1:
        return Markup("")
    number = snapshot.query.page
    first = (number - 1) * APPS_PER_PAGE + 1
    return Markup('<nav class="pages" aria-label="Pages of apps">{} <span>{} to {} of {}</span> {}</nav>').format(
        _page_link(snapshot, number - 1, "← previous"),
        number_format.count(first),
        number_format.count(first + len(snapshot.shown_apps) - 1),
        number_format.count(snapshot.matching_apps),
        _page_link(snapshot, number + 1, "next →"),
    )


def _page_link(snapshot: StatusSnapshot, number: int, label: str) -> Markup:
    if not 1 <= number <= snapshot.pages:
        return Markup('<span class="quiet">{}</span>').format(label)
    text = snapshot.query.text
    query = urlencode({**({"q": text} if text else {}), "page": number})
    return Markup('<a href="status?{}#apps">{}</a>').format(query, label)
