"""Makes the standard streams usable in every environment that a process is started from."""

import codecs
import io
import os
import sys
from pathlib import Path


def prepare_standard_streams() -> None:
    """Replace closed streams by the null device, and let any text be printed in any locale."""
    # In this order, each file gets the lowest free descriptor, which is that of the stream. Without it, the next socket
    # or database would get the descriptor, and what is printed would be written there.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            encoding = "utf-8" if codecs.lookup(stream.encoding).name == "ascii" else stream.encoding
            stream.reconfigure(encoding=encoding, errors="backslashreplace")
