"""What holds for every process that a test starts."""

import os

# Without its bytecode kept, each start would compile all of the signer anew, for a quarter of a second.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# An idle connection of a test's own must not hold up a signer that the test ends.
os.environ.setdefault("OSS_SIGNER_DRAIN_SECONDS", "0")
