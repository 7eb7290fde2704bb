"""`DELETE /v1/apps/{app_id}/objects`: deletes one of the caller's own objects."""

from signer.errors import InvalidRequest
from signer.http.reply import Reply
from signer.http.router import Handler
from signer.revision import Context
from signer.service import Service


def delete_handler(service: Service) -> Handler:
    """Return the handler of `DELETE /v1/apps/{app_id}/objects`."""

    async def delete_object(context: Context) -> Reply:
        key = context.query.get("key")
        if not key:
            raise InvalidRequest("the query names no object; send ?key=")
        deleted = await service.deletes.delete(context, key)
        return Reply(204, content_type=None, allowance=deleted.allowance, session=deleted.caller.session)

    return delete_object
