"""`POST /v1/apps/{app_id}/callback`: OSS reports an upload."""

from signer.delivery.receiver import CallbackReceiver, CallbackRequest
from signer.errors import NotFound
from signer.http.reply import Reply, json_reply
from signer.http.router import Handler
from signer.revision import Context


def callback_handler(receiver: CallbackReceiver) -> Handler:
    """Return the handler of `POST /v1/apps/{app_id}/callback`; it serves disabled apps too, whose uploads happened."""

    async def callback(context: Context) -> Reply:
        rules = None if context.app is None else context.app.callback
        if rules is None:
            raise NotFound("this app accepts no callbacks; set callback in its definition")
        callback_request = CallbackRequest(
            context.target, context.headers, context.body.read, context.client_address, context.request_id
        )
        key = await receiver.receive(rules, callback_request)
        return json_reply({"ok": True, "key": key})

    return callback
