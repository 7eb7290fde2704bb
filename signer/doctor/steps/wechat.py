"""Step `wechat`: does WeChat respond, and are a mini-program's id and secret right.

The step sends an invalid login code. It uses no quota: WeChat checks the id and the secret first.
See: https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/user-login/code2Session.html
"""

import json

from signer.doctor.findings import Finding, Subject
from signer.doctor.http_probe import HttpProbe, NoResponse
from signer.doctor.plan import WeChatUse

_CODE = "oss-signer-doctor"
_CONSOLE = "https://mp.weixin.qq.com > 开发管理 > 开发设置 > 开发者ID"


async def check_wechat(http: HttpProbe, subject: Subject, account: WeChatUse) -> Finding:
    """Call code2Session with an invalid code and interpret the error."""
    endpoint, secret = account.entry.endpoint, account.entry.secret.get_secret_value()
    query = {"appid": account.app_id, "secret": secret, "js_code": _CODE, "grant_type": "authorization_code"}
    try:
        response = await http.request(f"{endpoint}/sns/jscode2session", params=query)
        body = json.loads(response.text) if response.status == 200 else None
    except NoResponse as error:
        fix = f"check the connection from this machine (HTTPS, port 443): curl -sI {endpoint}"
        return subject.failed(f"{endpoint} {error}", fix)
    except (ValueError, RecursionError):
        body = None
    errcode = body.get("errcode") if isinstance(body, dict) else None
    if not isinstance(errcode, int):
        fix = f"check what responds at {endpoint}: a proxy, or a wrong callers.endpoint"
        return subject.failed(f"the response is not WeChat's ({response.status})", fix)
    return _finding(subject, errcode)


def _finding(subject: Subject, errcode: int) -> Finding:
    if errcode == 40029:
        return subject.ok("WeChat accepts its id and secret")
    if errcode == 40013:
        fix = f"write callers.app_id as {_CONSOLE} shows it (AppID)"
        return subject.failed("WeChat knows no mini-program with this id (40013)", fix)
    if errcode in (40125, 41004):
        fix = f"set the right AppSecret for callers.secret; the console shows only a new one: {_CONSOLE} > 重置"
        return subject.failed(f"the secret does not belong to this mini-program ({errcode})", fix)
    if errcode == 40164:
        fix = "add this machine's public address: https://mp.weixin.qq.com > 开发管理 > 开发设置 > IP白名单"
        return subject.failed("WeChat rejects calls from this machine's address (40164)", fix)
    if errcode in (-1, 45009, 45011):
        return subject.warning(f"WeChat is busy ({errcode})", "run doctor again in a minute")
    return subject.failed(f"WeChat refuses (errcode {errcode})", "https://developers.weixin.qq.com > 全局错误码")
