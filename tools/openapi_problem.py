"""The body of a problem, for the OpenAPI document."""

from pydantic import BaseModel, Field


class ProblemDocument(BaseModel):
    """A problem (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str | None = None
    code: str
    request_id: str
    retry_after: int | None = Field(None, description="When a retry can succeed, in seconds from now.")
