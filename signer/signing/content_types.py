"""Media types: by file name, the safe ones that a wildcard includes, and those that run script in a browser.

An object is served with the type of its upload, on a domain of the bucket. HTML, SVG and XML run script there,
with access to everything else on that domain.
"""

from collections.abc import Iterable

from signer.signing.types_by_extension import TYPES

_BY_EXTENSION = {
    extension: f"{kind}/{subtype}"
    for kind, text in TYPES.items()
    for subtype, _, extensions in (entry.partition(":") for entry in text.split())
    for extension in extensions.split(",")
}
_OFFICE = "vnd.openxmlformats-officedocument."
_SAFE_SUBTYPES = {
    "image": "apng avif bmp gif heic heif jp2 jpeg jxl png tiff vnd.microsoft.icon webp x-icon x-ms-bmp",
    "video": "3gpp 3gpp2 h264 h265 matroska mp2t mp4 mpeg ogg quicktime webm x-flv x-m4v x-matroska x-ms-wmv x-msvideo",
    "audio": "3gpp aac ac3 aiff amr flac midi mp4 mpeg ogg opus vnd.wave wav webm x-aac x-aiff x-flac x-m4a x-ms-wma "
    "x-wav",
    "font": "collection otf sfnt ttf woff woff2",
    "text": "calendar csv markdown plain tab-separated-values vcard vtt",
    "application": "gzip json msword octet-stream pdf rtf vnd.ms-excel vnd.ms-powerpoint vnd.rar x-7z-compressed x-tar "
    f"zip {_OFFICE}presentationml.presentation {_OFFICE}spreadsheetml.sheet {_OFFICE}wordprocessingml.document",
}
WILDCARD_KINDS = tuple(_SAFE_SUBTYPES)
"""The kinds of types that have a wildcard, such as `image/*`."""
_SCRIPT_SUBTYPES = frozenset({
    "html", "xml", "xsl", "xslt", "svg", "javascript", "x-javascript", "ecmascript", "x-ecmascript", "x-mixed-replace",
    "x-shockwave-flash", "xml-dtd", "xml-external-parsed-entity",
})  # fmt: skip


def content_type_by_name(filename: str) -> str | None:
    """Return the type of a file by the last extension of its name, or None if the extension is unknown."""
    _, dot, extension = filename.rpartition(".")
    return _BY_EXTENSION.get(extension.lower()) if dot else None


def expand_wildcards(content_types: Iterable[str]) -> tuple[str, ...]:
    """Return exact types in lower case, with the safe ones instead of each wildcard."""
    expanded: dict[str, None] = {}
    for content_type in content_types:
        kind, _, subtype = content_type.lower().partition("/")
        subtypes = _SAFE_SUBTYPES[kind].split() if subtype == "*" else [subtype]
        expanded |= dict.fromkeys(f"{kind}/{each}" for each in subtypes)
    return tuple(expanded)


def runs_script(content_type: str) -> bool:
    """Return whether a browser that opens an object of this exact type can run a script of its uploader.

    See: https://mimesniff.spec.whatwg.org/#xml-mime-type
    """
    subtype = content_type.lower().partition("/")[2]
    return subtype in _SCRIPT_SUBTYPES or subtype.endswith("+xml")
