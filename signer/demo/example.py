"""The definitions that `oss-signer demo` begins with where there are none."""

import shutil
from pathlib import Path

_SIGNER = Path(__file__).resolve().parents[1]
_FILES = {
    "oss-signer.yaml": _SIGNER / "demo" / "oss-signer.yaml",
    "oss-signer.schema.json": _SIGNER / "definitions" / "schema.json",
}


class CannotWriteExample(Exception):
    """The directory cannot be created; the text gives the reason."""


def write_example(directory: Path) -> None:
    """Create a directory with the example definitions and their JSON Schema, for editors.

    Raises:
        CannotWriteExample: the directory exists or cannot be written.
    """
    try:
        directory.mkdir()
        for name, source in _FILES.items():
            shutil.copyfile(source, directory / name)
    except OSError as error:
        reason = f"cannot write {directory}: {error.strerror}"
        raise CannotWriteExample(
            f"{reason}; run the demo in another directory, or name definitions with --config"
        ) from None
