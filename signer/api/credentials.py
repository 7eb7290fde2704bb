"""`POST /v1/apps/{app_id}/credentials`: the temporary credential of the caller, for an SDK of OSS."""

from pydantic import BaseModel, ConfigDict, ValidationError

from signer.api.json_body import Code, invalid_body, with_code
from signer.clock import rfc3339
from signer.http.reply import Reply, json_reply
from signer.http.router import Handler
from signer.revision import Context
from signer.service import Service


class CredentialRequestBody(BaseModel):
    """The body is optional."""

    model_config = ConfigDict(extra="forbid", strict=True)

    code: Code = None


def credential_handler(service: Service) -> Handler:
    """Return the handler of `POST /v1/apps/{app_id}/credentials`."""

    async def create_credential(context: Context) -> Reply:
        issued = await service.temporary_credentials.issue(await _with_body(context))
        credential = issued.credential
        document = {
            "AccessKeyId": credential.access_key_id,
            "AccessKeySecret": credential.access_key_secret,
            "SecurityToken": credential.security_token,
            "Expiration": None if credential.expiration is None else rfc3339(credential.expiration),
            "target": {
                "bucket": issued.bucket,
                "region": issued.region,
                "endpoint": issued.endpoint,
                "cname": issued.is_cname,
                "key_prefix": issued.key_prefix,
            },
        }
        return json_reply(document, allowance=issued.allowance, session=issued.caller.session)

    return create_credential


async def _with_body(context: Context) -> Context:
    data = await context.body.read()
    if not data.strip():
        return context
    try:
        body = CredentialRequestBody.model_validate_json(data)
    except ValidationError as error:
        raise invalid_body(error, CredentialRequestBody, context.headers) from None
    return with_code(context, body.code)
