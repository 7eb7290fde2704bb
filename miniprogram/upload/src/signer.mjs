// Sends requests to the signer: logs in if required, and keeps forms that serve several files.
import { assign, failure, nothing } from './failure.mjs'

/** The form's lifetime by the signer's clock alone, so that the phone's clock may be wrong. */
const lifeMs = (form) => {
  const signed = form.fields['x-oss-date'].replace(/(....)(..)(..T..)(..)/, '$1-$2-$3:$4:')
  return Date.parse(form.expires_at) - Date.parse(signed)
}

/** OSS rejects what expires during the upload: reserve a fifth of the lifetime, at most a minute. */
export const endOf = (platform, life) => platform._now() + life - Math.min(life / 5, 60000)

export const createSigner = (platform, { endpoint, appId, login, headers }, timeoutMs) => {
  const base = `${endpoint.replace(/\/$/, '')}/v1/apps/${appId}/`
  const sessionKey = base + 'uploads'
  const canLogIn = platform._login && login !== false
  const kept = {} // by request: the promise of the newest form, if any
  let session = canLogIn && platform._load(sessionKey)
  let loggingIn

  const lives = (signed) => signed && signed._ends > platform._now()

  const post = async (path, request, proof, refused) => {
    const own = headers && (await headers(refused))
    const answer = await platform._send(base + path, assign({}, own, proof), JSON.stringify(request), timeoutMs)
    const renewed = answer[1]['x-session']
    if (renewed && canLogIn) platform._save(sessionKey, (session = renewed))
    return answer
  }

  const logIn = (path, request) => {
    const answer = platform._login().then((code) => post(path, request, { 'X-WX-Code': code }, true))
    loggingIn = answer.catch(nothing).then(() => (loggingIn = null))
    return answer
  }

  /** Returns the response, which has this member. `again`: after a 401 response to the session `refused`. */
  const ask = async (path, request, member, again, refused) => {
    await loggingIn // one login serves all files
    const used = session
    const answer = await (canLogIn && again && used === refused
      ? logIn(path, request)
      : post(path, request, used && { 'X-Session': used }, again))
    const [status, , body] = answer
    if (status === 401 && !again) return ask(path, request, member, true, used)
    let content = {}
    try {
      content = JSON.parse(body) || content
    } catch (_) {} // the page of a proxy
    const { code, title, detail } = content
    if (!content[member]) throw failure(code === 'already_exists' ? 'exists' : code, detail ? `${title}: ${detail}` : title, answer)
    return content
  }

  const askForm = async (request) => {
    const form = await ask('uploads', request, 'fields')
    signer._threshold = form.multipart_threshold
    return { _form: form, _ends: endOf(platform, lifeMs(form)) }
  }

  /** Returns a usable form as {_form, _ends}. A form with an exact key is for one file only. */
  const sign = async (request) => {
    const { filename, content_type: type, size, vars, meta } = request
    const id = JSON.stringify([type || (filename || '').replace(/.*(?=\.)/, ''), vars, meta])
    const promise = kept[id]
    const signed = await promise
    // Only the signer knows whether an empty file is allowed.
    if (!size || (signed && signed._form.key)) return askForm(request)
    if (lives(signed)) return signed
    if (kept[id] !== promise) return sign(request) // another file has requested one meanwhile
    const asked = askForm(request)
    kept[id] = asked.catch(nothing) // the refusal may concern that file only
    return asked
  }

  const signer = { _lives: lives, _sign: sign, _ask: ask, _base: base }
  return signer
}
