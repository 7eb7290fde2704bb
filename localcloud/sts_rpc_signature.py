"""The RPC signature of calls to STS: HMAC-SHA1 over the parameters, which older SDKs use.

See: https://help.aliyun.com/zh/sdk/product-overview/rpc-mechanism
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from urllib.parse import quote

from localcloud.sts_errors import StsError


def is_rpc(parameters: Mapping[str, str]) -> bool:
    return "Signature" in parameters or "SignatureMethod" in parameters


def check_rpc_signature(method: str, parameters: Mapping[str, str], secret: str) -> None:
    """Raise `StsError` if the signature is wrong, or its method or the format of the answer is not implemented."""
    if parameters.get("SignatureMethod") != "HMAC-SHA1" or parameters.get("SignatureVersion") != "1.0":
        raise StsError(400, "InvalidParameter.SignatureMethod", "The local cloud verifies HMAC-SHA1, version 1.0.")
    if parameters.get("Format", "XML").upper() != "JSON":
        raise StsError(501, "NotImplemented", "The local cloud answers in JSON only: send Format=JSON.")
    signed = sorted((name, value) for name, value in parameters.items() if name != "Signature")
    query = "&".join(f"{_encode(name)}={_encode(value)}" for name, value in signed)
    to_sign = f"{method}&{_encode('/')}&{_encode(query)}"
    expected = base64.b64encode(hmac.digest(f"{secret}&".encode(), to_sign.encode(), "sha1"))
    if not hmac.compare_digest(expected, parameters.get("Signature", "").encode()):
        raise StsError(400, "SignatureDoesNotMatch", "Specified signature is not matched with our calculation.")


def _encode(text: str) -> str:
    return quote(text, safe="~")
