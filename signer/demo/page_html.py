"""The upload page as HTML, in each of its languages; texts.json is the table of its texts."""

import json
from collections.abc import Mapping
from pathlib import Path

from signer.http.header_weights import header_weights

ENGLISH, CHINESE = "en", "zh-CN"
_DIRECTORY = Path(__file__).parent


def page_texts() -> dict[str, dict[str, str]]:
    """Return the table of texts: by name, then by language."""
    table: dict[str, dict[str, str]] = json.loads((_DIRECTORY / "texts.json").read_text(encoding="utf-8"))
    return table


def render_pages() -> Mapping[str, bytes]:
    """Return the document in each language."""
    # Without the demo, the signer starts faster and smaller without Jinja.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(_DIRECTORY / "templates")
    template = Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template("upload_page.html")
    table = page_texts()
    pages = {}
    for language, other in ((ENGLISH, CHINESE), (CHINESE, ENGLISH)):
        texts = {name: by_language[language] for name, by_language in table.items()}
        pages[language] = template.render(texts=texts, language=language, other_language=other).encode()
    return pages


def preferred_language(accept_language: str) -> str:
    """Return the language of the page for an Accept-Language header.

    See: https://www.rfc-editor.org/rfc/rfc9110#section-12.5.4
    """
    weights = {"zh": 0.0, "en": 0.0}
    for tag, weight in header_weights(accept_language).items():
        language = tag.partition("-")[0]
        if language in weights:
            weights[language] = max(weights[language], weight)
    return CHINESE if weights["zh"] > weights["en"] else ENGLISH
