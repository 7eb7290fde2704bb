"""The JSON Schema of the YAML, for editors, made from the models."""

from __future__ import annotations

import json

from signer.definitions.model import Definitions


def json_schema() -> str:
    schema = Definitions.model_json_schema()
    app = schema["$defs"]["App"]
    # What `defaults` may give, an app need not say.
    app["required"] = []
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "oss-signer definitions"}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
