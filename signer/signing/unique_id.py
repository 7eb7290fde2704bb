"""Random UUIDs for object keys."""

import os
from collections.abc import Iterator

_VERSION = bytes(0x40 | byte & 0x0F for byte in range(256))
_VARIANT = bytes(0x80 | byte & 0x3F for byte in range(256))


def _uuid4_hex() -> Iterator[str]:
    """Yield random UUIDs in hex, reading the randomness for 256 of them with one system call.

    See: https://www.rfc-editor.org/rfc/rfc9562#section-5.4
    """
    while True:
        block = bytearray(os.urandom(16 * 256))
        block[6::16] = block[6::16].translate(_VERSION)
        block[8::16] = block[8::16].translate(_VARIANT)
        digits = block.hex()
        for start in range(0, len(digits), 32):
            yield digits[start : start + 32]


new_uuid_hex = _uuid4_hex().__next__
"""Return another random UUID in hex."""
