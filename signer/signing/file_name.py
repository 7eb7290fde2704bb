"""Turn file names from clients into one safe segment of an object key, so that different names stay different.

Nothing here depends on the Unicode version of Python: a name has the same key after an upgrade. So names are not
normalized, and characters that Unicode has not assigned yet are kept.
"""

import re
from hashlib import sha256

from signer.signing.unique_id import new_uuid_hex

MAX_FILENAME_BYTES = 255
MAX_EXTENSION_CHARACTERS = 16

UNSAFE_CHARACTER = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Controls, line and paragraph separators, characters that reorder text around them, and surrogates.

See: https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters
"""
USUAL_NAME = re.compile(r"([A-Za-z0-9_-][A-Za-z0-9_. -]{0,200})\.([A-Za-z0-9]{1,16})")
"""Most names match this pattern and need no closer look; its groups are the stem and the extension."""
_REPLACEMENTS = str.maketrans(dict.fromkeys('$<>:"|?*{}', "_"))
_MARKED = re.compile(r"~[0-9a-f]{8}(?:\.[^.]*)?\Z")
"""What `mark` adds. A name that ends like this gets another mark, or it could be the result of another name."""


def safe_filename(filename: str) -> str:
    """Return a client's file name as one readable path segment of 1 to 255 bytes.

    `$`, quotes and wildcards become `_`; directories, unsafe characters, and dots and spaces at both ends are removed;
    a long name is shortened before its extension. Each name that this changes is marked with a part of its SHA-256.
    A random name replaces one of which nothing but the extension is left.
    """
    if USUAL_NAME.fullmatch(filename):
        return filename
    segment = filename.replace("\\", "/").rpartition("/")[2]
    name = UNSAFE_CHARACTER.sub("", segment).translate(_REPLACEMENTS).rstrip(" .")
    stem, extension = split_extension(name)
    stem = stem.lstrip(" .")
    end = f".{extension}" if extension else ""
    if stem and stem + end == filename and len(filename.encode()) <= MAX_FILENAME_BYTES and not _MARKED.search(name):
        return filename
    return mark(stem or new_uuid_hex(), filename, MAX_FILENAME_BYTES - len(end.encode())) + end


def split_extension(name: str) -> tuple[str, str]:
    """Return a name's stem and its extension without the dot; a long text after the last dot is no extension."""
    stem, dot, extension = name.rpartition(".")
    return (stem, extension) if dot and len(extension) <= MAX_EXTENSION_CHARACTERS else (name, "")


def mark(stem: str, filename: str, max_bytes: int) -> str:
    """Return the stem with a mark of the name that the client sent, shortened between characters if necessary."""
    digits = sha256(filename.encode(errors="surrogatepass")).hexdigest()[:8]
    kept = stem.encode()[: max_bytes - len(digits) - 1].decode(errors="ignore")
    return f"{kept}~{digits}"
