"""The types that openapi-typescript generates from the OpenAPI document fit how the API is used, under `strict`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.harness.npm import install_packages
from tests.harness.processes import ROOT, run

pytestmark = pytest.mark.slow

TYPES = Path(__file__).parent / "types"
PROGRAMS = TYPES / "node_modules" / ".bin"


async def test_generated_types_check_under_strict(tmp_path: Path) -> None:
    await install_packages(TYPES)
    for name in ("usage.ts", "tsconfig.json"):
        shutil.copy(TYPES / name, tmp_path)
    generated = await run(
        PROGRAMS / "openapi-typescript", ROOT / "signer/api/openapi.json", "-o", tmp_path / "api.d.ts"
    )
    assert generated.status == 0, generated.err
    checked = await run(PROGRAMS / "tsc", "--project", tmp_path)
    assert checked.status == 0, checked.out
