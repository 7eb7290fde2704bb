"""Step `wechat`: does WeChat answer, and are a mini-program's id and secret right (help page `code2Session`).

A code that nobody was given costs nothing: WeChat looks at the id and the secret first.
"""

from __future__ import annotations

import json

from signer.doctor.findings import About, Finding
from signer.doctor.http_probe import Asking, NoAnswer
from signer.doctor.plan import Ids, WeChatUse

_CONSOLE = "https://mp.weixin.qq.com > 开发管理 > 开发设置 > 开发者ID"


async def wechat(asking: Asking, each: WeChatUse, apps: Ids) -> Finding:
    about = About("wechat", each.app_id, apps)
    query = {
        "appid": each.app_id,
        "secret": each.entry.secret.get_secret_value(),
        "js_code": "oss-signer-doctor",
        "grant_type": "authorization_code",
    }
    try:
        answer = await asking.get(f"{each.entry.endpoint}/sns/jscode2session", params=query)
        told = json.loads(answer.text) if answer.status == 200 else None
    except NoAnswer as error:
        mend = f"see that this machine may reach it: curl -sI {each.entry.endpoint}; HTTPS out to port 443"
        return about.failed(f"{each.entry.endpoint} {error}", mend)
    except (ValueError, RecursionError):
        told = None
    errcode = told.get("errcode") if isinstance(told, dict) else None
    if errcode == 40029:
        return about.ok("WeChat takes its id and secret")
    if errcode == 40013:
        mend = f"write callers.app_id as {_CONSOLE} shows it (AppID)"
        return about.failed("WeChat knows no mini-program of this id (40013)", mend)
    if errcode in (40125, 41004):
        mend = f"put the right AppSecret where callers.secret stands; only a new one can be seen: {_CONSOLE} > 重置"
        return about.failed(f"the secret is not that of this mini-program ({errcode})", mend)
    if errcode == 40164:
        mend = "add this machine's public address: https://mp.weixin.qq.com > 开发管理 > 开发设置 > IP白名单"
        return about.failed("WeChat does not take calls of this machine's address (40164)", mend)
    if errcode in (-1, 45009, 45011):
        return about.warning(f"WeChat is busy ({errcode})", "run doctor again in a minute")
    if isinstance(errcode, int):
        return about.failed(f"WeChat refuses it (errcode {errcode})", "https://developers.weixin.qq.com > 全局错误码")
    mend = f"see what answers at {each.entry.endpoint}: a proxy, or a wrong callers.endpoint"
    return about.failed(f"what answers is not WeChat ({answer.status})", mend)
