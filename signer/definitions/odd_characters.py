"""Characters that are pasted by accident: invisible ones, curly quotes, and full-width punctuation."""

import unicodedata

INVISIBLE_AT_ENDS = "\ufeff\u200b\u200c\u200d\u2060"
"""Byte order mark, zero-width spaces and joiners: at the ends of a value they never mean anything."""

_ASCII = {
    **dict.fromkeys("“”„‟«»", '"'),
    **dict.fromkeys("‘’‚‛", "'"),
    **dict.fromkeys("‐‑‒–—―−", "-"),
    **{chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)},
    "\u3000": "a space", "、": ",", "。": ".", "【": "[", "】": "]", "…": "...",
}  # fmt: skip


def odd_character(text: str) -> str | None:
    """Return what is odd in a text, and what to write instead; None if nothing is."""
    for character in text:
        if instead := _ASCII.get(character):
            return f"it contains {character} (U+{ord(character):04X}); write {instead} instead"
    for character in text:
        if character not in " \n\r\t" and unicodedata.category(character) in ("Cf", "Cc", "Zs"):
            return f"it contains the invisible character U+{ord(character):04X}; delete it"
    return None


def invisible_at_ends(text: str) -> str | None:
    """Return what is ignored at the ends of a text, as a warning; None if nothing is."""
    if text == text.strip(INVISIBLE_AT_ENDS):
        return None
    character = text[0] if text[0] in INVISIBLE_AT_ENDS else text[-1]
    return f"the invisible character U+{ord(character):04X} at the start or end is ignored; delete it"
