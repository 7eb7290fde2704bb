"""The requests and responses for stored objects, for the OpenAPI document."""

from pydantic import BaseModel, Field

from signer.api.downloads_request import DownloadsBody
from tools.openapi_problem import ProblemDocument


class DownloadUrl(BaseModel):
    """A URL that reads one object."""

    url: str
    expires_at: str


class DownloadOfKey(BaseModel):
    """The URL of one of several objects, or the problem that refuses it."""

    key: str
    url: str | None = Field(None, description="The URL that reads the object; absent with a problem.")
    problem: ProblemDocument | None = Field(None, description="Why there is no URL.")


class DownloadUrls(BaseModel):
    """A result for each key, in the order of the request."""

    downloads: list[DownloadOfKey]
    expires_at: str = Field(description="When all the URLs expire (RFC 3339, UTC).")


REQUESTS: dict[type[BaseModel], str] = {DownloadsBody: "DownloadsRequest"}
RESPONSES: dict[type[BaseModel], str] = {
    DownloadUrl: "Download",
    DownloadUrls: "Downloads",
    DownloadOfKey: "DownloadOfKey",
}
