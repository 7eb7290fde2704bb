"""Parses a JSON body, and describes what is wrong with it."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Annotated, TypeVar

from multidict import MultiMapping
from pydantic import BaseModel, Field, ValidationError

from signer.errors import InvalidRequest
from signer.request_context import MAX_BODY_BYTES
from signer.revision import Context

BodyT = TypeVar("BodyT", bound=BaseModel)

Code = Annotated[
    str | None, Field(max_length=512, description="A code of wx.login, an alternative to the header X-WX-Code.")
]

_MAX_NAME_CHARACTERS = 64


def with_code(context: Context, code: str | None) -> Context:
    """Return the context with the login code of the body, if it has one."""
    return context if code is None else context._replace(login_code=code)


async def parse_json_body(context: Context, model: type[BodyT], *, max_bytes: int = MAX_BODY_BYTES) -> BodyT:
    """Return the body of a request as the model describes it. Raises `TooLarge` or `InvalidRequest`."""
    data = await context.body.read(max_bytes)
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise invalid_body(error, model, context.headers) from None


def invalid_body(
    error: ValidationError,
    model: type[BaseModel],
    headers: MultiMapping[str],
    *,
    parts: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> InvalidRequest:
    """Return the problem of a body that is not what the model describes; its detail names the malformed member.

    `parts` are the members of the objects in a list, by the name of the list.
    """
    if "Content-Encoding" in headers:
        return InvalidRequest("the body is compressed; send it without Content-Encoding")
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    member = ".".join(str(step)[:_MAX_NAME_CHARACTERS] for step in first["loc"])
    if first["type"] == "json_invalid":
        return InvalidRequest("the body is not valid JSON; send a JSON object")
    if first["type"] in ("model_type", "model_attributes_type") and not member:
        required = [name for name, field in model.model_fields.items() if field.is_required()]
        members = ", ".join(required) if required else f"{', '.join(model.model_fields)}, all optional"
        return InvalidRequest(f"the body is not a JSON object; send one with {members}")
    if first["type"] == "extra_forbidden":
        known = model.model_fields if len(first["loc"]) == 1 else parts.get(str(first["loc"][0]), model.model_fields)
        return InvalidRequest(f"unknown member {member!r}; known: {', '.join(known)}")
    if first["type"] == "missing":
        return InvalidRequest(f"{member} is missing; send it")
    reason = first["msg"].replace(" after validation", "")
    return InvalidRequest(f"{member}: {reason[:1].lower()}{reason[1:]}")
