// Requests forms from the signer: logs in if required, and keeps forms that serve several files.
import { assign, failure, nothing } from './failure.mjs'

/** The form's lifetime by the signer's clock alone, so that the phone's clock may be wrong. */
const lifeMs = (form) => {
  const signed = form.fields['x-oss-date'].replace(/(....)(..)(..T..)(..)/, '$1-$2-$3:$4:')
  return Date.parse(form.expires_at) - Date.parse(signed)
}

export const createSigner = (platform, { endpoint, appId, login, headers }, timeoutMs) => {
  const url = `${endpoint.replace(/\/$/, '')}/v1/apps/${appId}/uploads`
  const canLogIn = platform._login && login !== false
  const kept = {} // by request: the promise of the newest form, if any
  let session = canLogIn && platform._load(url)
  let loggingIn

  const lives = (signed) => signed && signed._ends > platform._now()

  const post = async (request, proof, refused) => {
    const own = headers && (await headers(refused))
    const answer = await platform._send(url, assign({}, own, proof), JSON.stringify(request), timeoutMs)
    const renewed = answer[1]['x-session']
    if (renewed && canLogIn) platform._save(url, (session = renewed))
    return answer
  }

  const logIn = (request) => {
    const answer = platform._login().then((code) => post(request, { 'X-WX-Code': code }, true))
    loggingIn = answer.catch(nothing).then(() => (loggingIn = null))
    return answer
  }

  /** `again`: after a 401 response to the session `refused`. */
  const ask = async (request, again, refused) => {
    await loggingIn // one login serves all files
    const used = session
    const answer = await (canLogIn && again && used === refused
      ? logIn(request)
      : post(request, used && { 'X-Session': used }, again))
    const [status, , body] = answer
    if (status === 401 && !again) return ask(request, true, used)
    let form = {}
    try {
      form = JSON.parse(body)
    } catch (_) {} // the page of a proxy
    const { code, title, detail } = form
    if (!form.fields) throw failure(code, detail ? `${title}: ${detail}` : title, answer)
    const life = lifeMs(form)
    // OSS rejects a form that expires during the upload: reserve a fifth of its lifetime, at most a minute.
    return { _form: form, _ends: platform._now() + life - Math.min(life / 5, 60000) }
  }

  /** Returns a usable form as {_form, _ends}. A form with an exact key is for one file only. */
  const sign = async (request) => {
    const { filename, content_type: type, size, vars, meta } = request
    const id = JSON.stringify([type || (filename || '').replace(/.*\./, ''), vars, meta])
    const promise = kept[id]
    const signed = await promise
    // Only the signer knows whether an empty file is allowed.
    if (!size || (signed && signed._form.key)) return ask(request)
    if (lives(signed)) return signed
    if (kept[id] !== promise) return sign(request) // another file has requested one meanwhile
    const asked = ask(request)
    kept[id] = asked.catch(nothing) // the refusal may concern that file only
    return asked
  }

  return [lives, sign]
}
