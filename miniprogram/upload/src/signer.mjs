// Sends requests to the signer: logs in if required, and keeps forms that serve several files.
import { assign, failure, nothing, sleep } from './failure.mjs'

/** The form's lifetime by the signer's clock alone, so that the phone's clock may be wrong. */
const lifeMs = (form) => {
  const signed = form.fields['x-oss-date'].replace(/(....)(..)(..T..)(..)/, '$1-$2-$3:$4:')
  return Date.parse(form.expires_at) - Date.parse(signed)
}

/** The refusal of a request, or of one file of several. */
const refuse = ({ code, title, detail }, answer) =>
  failure(code === 'already_exists' ? 'exists' : code, detail ? `${title}: ${detail}` : title, answer)

/** OSS rejects what expires during the upload: reserve a fifth of the lifetime, at most a minute. */
export const endOf = (platform, life) => platform._now() + life - Math.min(life / 5, 60000)

export const createSigner = (platform, { endpoint, appId, login, headers }, timeoutMs) => {
  const base = `${endpoint.replace(/\/$/, '')}/v1/apps/${appId}/`
  const canLogIn = platform._login && login !== false
  const kept = {} // by request: the promise of the newest form, if any
  const files = [] // of the next request for forms
  let batch // its response
  let session = canLogIn && platform._load(base)
  let loggingIn

  const lives = (signed) => signed && signed._ends > platform._now()

  const post = async (path, request, proof, refused) => {
    const own = headers && (await headers(refused))
    const answer = await platform._send(base + path, assign({}, own, proof), JSON.stringify(request), timeoutMs)
    const renewed = answer[1]['x-session']
    if (renewed && canLogIn) platform._save(base, (session = renewed))
    return answer
  }

  const logIn = (path, request) => {
    const answer = platform._login().then((code) => post(path, request, { 'X-WX-Code': code }, true))
    loggingIn = answer.catch(nothing).then(() => (loggingIn = null))
    return answer
  }

  /** Returns the response, which has this member. `again`: after a 401 response to the session `refused`. */
  const call = async (path, request, member, again, refused) => {
    await loggingIn // one login serves all files
    const used = session
    const answer = await (canLogIn && again && used === refused
      ? logIn(path, request)
      : post(path, request, used && { 'X-Session': used }, again))
    const [status, , body] = answer
    if (status === 401 && !again) return call(path, request, member, true, used)
    let content = {}
    try {
      content = JSON.parse(body) || content
    } catch (_) {} // the page of a proxy
    if (!content[member]) throw refuse(content, answer)
    return content
  }

  /** Returns a new form as {_form, _ends}. One request serves all files that need a form now: at most 10 and MAX_EARLY. */
  const requestForm = async (request) => {
    if (!files[0]) batch = sleep().then(() => call('uploads', { files: files.splice(0), compact: true }, 'uploads'))
    const index = files.push(assign({ reuse: true }, request)) - 1
    // Each file has an error of its own, which gets its key.
    const { uploads, common_fields: common } = await batch.catch((error) => {
      throw assign(new Error(error.message), error)
    })
    const form = uploads[index]
    if (!form.fields) throw refuse(form, [form.status, form])
    form.fields = assign({}, common, form.fields)
    signer._threshold = form.multipart_threshold
    return { _form: form, _ends: endOf(platform, lifeMs(form)) }
  }

  /** Returns a usable form as {_form, _ends}. A form with an exact key is for one file only. */
  const sign = async (request) => {
    const { filename, content_type: type, size, vars, meta } = request
    const id = JSON.stringify([type || (filename || '').replace(/.*(?=\.)/, ''), vars, meta])
    const promise = kept[id]
    const signed = await promise
    // The signer decides whether an empty file is allowed.
    if (!size || (signed && signed._form.key)) return requestForm(request)
    if (lives(signed)) return signed
    if (kept[id] !== promise) return sign(request) // another file has requested one meanwhile
    const requested = requestForm(request)
    kept[id] = requested.catch(nothing) // the refusal may concern that file only
    return requested
  }

  const signer = { _lives: lives, _sign: sign, _call: call, _base: base }
  return signer
}
