"""The dashboard fits Grafana's own schema, as Grafana publishes it in TypeScript. No real Grafana imports it here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.harness.npm import install_packages
from tests.harness.processes import run
from tests.monitoring.files import dashboard

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent / "grafana"
SCHEMAS = {
    "grafana-oldest": "dist/esm/raw/dashboard/x/dashboard_types.gen.d.ts",
    "grafana-newest": "dist/types/raw/dashboard/x/types.gen.d.ts",
}
OF_PROMETHEUS = ("expr", "step", "textFormat", "titleFormat")
"""Grafana's Prometheus data source stores these in an annotation, and `definition` in a variable; the schema is without
them, since it is that of all data sources."""


async def schema(package: str) -> Any:
    await install_packages(HERE)
    generator = HERE / "node_modules/.bin/ts-json-schema-generator"
    source = HERE / "node_modules" / package / SCHEMAS[package]
    made = await run(generator, "--path", source, "--type", "Dashboard", "--no-type-check")
    assert made.status == 0, made.err
    return json.loads(made.out)


def without_what_data_sources_add(board: dict[str, Any]) -> dict[str, Any]:
    for annotation in board["annotations"]["list"]:
        for name in OF_PROMETHEUS:
            annotation.pop(name, None)
    for variable in board["templating"]["list"]:
        variable.pop("definition", None)
    return board


@pytest.mark.parametrize("package", SCHEMAS)
async def test_the_dashboard_fits_grafanas_schema(package: str) -> None:
    validator = jsonschema.Draft7Validator(await schema(package))
    board = without_what_data_sources_add(dashboard())
    assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(board)] == []
    board["panels"][0]["gridPosition"] = board["panels"][0].pop("gridPos")
    assert list(validator.iter_errors(board))
