// Asks the signer for forms: logs in where it wants that, and keeps the forms that serve many files.
import { assign, failure, nothing } from './failure.mjs'

/** How long the form lives, from one clock, the signer's: so the phone's own may be wrong. */
const lifeMs = (form) => {
  const signed = form.fields['x-oss-date'].replace(/(....)(..)(..T..)(..)/, '$1-$2-$3:$4:')
  return Date.parse(form.expires_at) - Date.parse(signed)
}

export const createSigner = (platform, { endpoint, appId, login, headers }, timeoutMs) => {
  const url = `${endpoint.replace(/\/$/, '')}/v1/apps/${appId}/uploads`
  const canLogIn = platform._login && login !== false
  const kept = {} // by wish: the promise of the newest form, if there is one
  let session = canLogIn && platform._load(url)
  let loggingIn

  const lives = (signed) => signed && signed._ends > platform._now()

  const post = async (wish, proof, refused) => {
    const own = headers && (await headers(refused))
    const answer = await platform._send(url, assign({}, own, proof), JSON.stringify(wish), timeoutMs)
    const renewed = answer[1]['x-session']
    if (renewed && canLogIn) platform._save(url, (session = renewed))
    return answer
  }

  const logIn = (wish) => {
    const answer = platform._login().then((code) => post(wish, { 'X-WX-Code': code }, true))
    loggingIn = answer.catch(nothing).then(() => (loggingIn = null))
    return answer
  }

  /** `again`: after a 401, and `refused` is the session that was answered with it. */
  const ask = async (wish, again, refused) => {
    await loggingIn // one login serves all files
    const used = session
    const answer = await (canLogIn && again && used === refused
      ? logIn(wish)
      : post(wish, used && { 'X-Session': used }, again))
    const [status, , body] = answer
    if (status === 401 && !again) return ask(wish, true, used)
    let form = {}
    try {
      form = JSON.parse(body)
    } catch (_) {} // some proxy's page
    const { code, title, detail } = form
    if (!form.fields) throw failure(code, detail ? `${title}: ${detail}` : title, answer)
    const life = lifeMs(form)
    // A form that ends while the file is on its way is refused: a fifth of its life, at most a minute, is kept for that.
    return { _form: form, _ends: platform._now() + life - Math.min(life / 5, 60000) }
  }

  /** A form to use now, as {_form, _ends}. One with a key of its own is for one file only. */
  const sign = async (wish) => {
    const { filename, content_type: type, size, vars, meta } = wish
    const id = JSON.stringify([type || filename.replace(/.*\./, ''), vars, meta])
    const promise = kept[id]
    const signed = await promise
    // Whether an empty file is allowed only the signer knows.
    if (!size || (signed && signed._form.key)) return ask(wish)
    if (lives(signed)) return signed
    if (kept[id] !== promise) return sign(wish) // another file was first to ask
    const asked = ask(wish)
    kept[id] = asked.catch(nothing) // what it was refused for may be that file's own matter
    return asked
  }

  return [lives, sign]
}
