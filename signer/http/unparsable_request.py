"""The reply to a request that cannot be parsed."""

from aiohttp.http_exceptions import LineTooLong

from signer.errors import HeaderTooLarge, InvalidRequest, Problem, UriTooLong
from signer.http.problem_reply import problem_reply
from signer.http.reply import Reply

MAX_TARGET_BYTES = 8 * 1024
"""Of the path and the query."""
MAX_HEADER_BYTES = 40 * 1024
"""Of one header: a page's cookies may have 32 KiB, and browsers send them although no handler reads them."""


def unparsable_request_reply(error: BaseException | None) -> Reply:
    """Return the reply for an error of aiohttp's parser. It has no request id, since no header is known."""
    reply = problem_reply(_problem(error), "-")
    reply.request_id = "-"
    return reply


def _problem(error: BaseException | None) -> Problem:
    if not isinstance(error, LineTooLong):
        return InvalidRequest("the request is not valid HTTP/1.1")
    _line, limit, *_ = error.args
    if str(limit) == str(MAX_TARGET_BYTES):
        return UriTooLong(f"the path with its query has more than {limit} bytes; send a shorter one")
    return HeaderTooLarge(f"a header has more than {limit} bytes; send shorter ones, such as fewer cookies")
