"""Describes what is wrong with a JSON body."""

from multidict import MultiMapping
from pydantic import BaseModel, ValidationError

from signer.errors import InvalidRequest

_MAX_NAME_CHARACTERS = 64


def invalid_body(error: ValidationError, model: type[BaseModel], headers: MultiMapping[str]) -> InvalidRequest:
    """Return the problem of a body that is not what the model describes; its detail names the malformed member."""
    if "Content-Encoding" in headers:
        return InvalidRequest("the body is compressed; send it without Content-Encoding")
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    member = ".".join(str(step)[:_MAX_NAME_CHARACTERS] for step in first["loc"])
    if first["type"] == "json_invalid":
        return InvalidRequest("the body is not valid JSON")
    if first["type"] in ("model_type", "model_attributes_type") and not member:
        required = [name for name, field in model.model_fields.items() if field.is_required()]
        members = ", ".join(required) if required else f"{', '.join(model.model_fields)}, all optional"
        return InvalidRequest(f"the body is not a JSON object; send one with {members}")
    if first["type"] == "extra_forbidden":
        return InvalidRequest(f"unknown member {member!r}; known: {', '.join(model.model_fields)}")
    if first["type"] == "missing":
        return InvalidRequest(f"{member} is missing")
    return InvalidRequest(f"{member}: {first['msg'][:1].lower()}{first['msg'][1:]}")
