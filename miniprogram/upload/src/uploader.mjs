// Uploads a file: queue, form or parts, OSS, and retries where they can succeed.
import { createCancel } from './cancel.mjs'
import { assign, failure, nothing, sleep } from './failure.mjs'
import { etagOf, refusal } from './oss-answer.mjs'
import { createTotal } from './progress.mjs'
import { createSigner } from './signer.mjs'

const MAX_RETRY_DELAY_MS = 10000
const MAX_RETRY_AFTER_SECONDS = 60
const MAX_EARLY = 20 // forms of files in the queue: more could expire there
// Everything except letters, digits and characters that are safe in keys and URLs.
const UNSAFE = /[^\w.\u00c0-\u1fff\u3040-\ud7ff-]/g

const tries = new WeakMap() // by error: the attempt, for `retryOf`

/** `createMultipart`: creates the function that uploads a large file in parts; without it, each file is sent as a form. */
export const makeUploader = (platform, config, createMultipart = nothing) => {
  const { retries = 5, retryDelayMs = 500, timeoutMs = 15000, multipartThreshold } = config
  const signer = createSigner(platform, config, timeoutMs)
  const { _lives: lives, _sign: sign } = signer
  const sendParts = createMultipart(platform, multipartThreshold, signer, timeoutMs)
  const [enter, follow, leave] = createTotal(config.onProgress)
  const cancels = new Set()
  let queue = []
  let running = 0

  const begin = () => {
    if (running >= Math.min(10, config.concurrency || 4) || !queue.length) return
    running++
    queue.shift()()
  }

  const upload = async (input, options = {}) => {
    const file = platform._wrap(input)
    const { filename, contentType, vars, meta, signal = createCancel().signal, onState = nothing } = options
    let { size = options.size } = file
    const named = filename || file.name
    const name = named || (file.charAt ? file.replace(/.*\//, '') : '') // a Blob has no name
    const type = contentType || file.type || undefined // else the signer finds it by the name
    const request = { filename: name || undefined, content_type: type, vars, meta }
    let { _signed: signed, _key: key, _doubt: doubt } = tries.get(options.retryOf) || {}
    let early // a form for the first attempt, requested together with those of other files
    let progress
    let result
    let over
    let cancel
    let end // ends the current step on cancel

    const cancelled = new Promise((_, reject) => {
      cancel = () => {
        const error = failure('cancelled')
        over = true
        if (end) end(error)
        reject(error)
      }
    })
    cancelled.catch(nothing)

    /** Runs the next step; rejects if the upload is cancelled meanwhile. */
    const step = (start) => (over ? cancelled : Promise.race([cancelled, start()]))

    /**
     * Runs `attempt` until it succeeds, or a retry is useless. When a signature or its token has expired, `renew` is
     * called and the retry follows at once; a second expiry is retried only if `patient`.
     */
    const retry = async (attempt, renew, onWait, patient = false) => {
      let failures = 0
      let renewed
      for (;;) {
        try {
          return await attempt(failures)
        } catch (error) {
          const expired = error.code === 'expired'
          const wait = error.retryAfterSeconds || 0
          if (expired) renew()
          if (expired && !renewed) {
            renewed = true
          } else if (
            over || (expired && !patient) || !error.retryable || failures >= retries || wait > MAX_RETRY_AFTER_SECONDS
          ) {
            throw error
          } else {
            onWait(error)
            // A part whose connection broke is sent again at once, and later if that breaks too.
            const times = 2 ** failures++ - (patient && error.code === 'network')
            const usual = Math.min(MAX_RETRY_DELAY_MS, retryDelayMs * times) / 2
            const ms = Math.max(wait * 1000, usual) + Math.random() * usual
            await step(() => sleep(ms))
          }
        }
      }
    }

    const sendForm = async () => {
      if (!lives(signed)) {
        onState('signing')
        let next = await step(() => early)
        early = 0
        if (!lives(next)) next = await step(() => sign(request))
        const { key: exact, key_prefix: prefix } = next._form
        const id = Date.now().toString(36) + Math.random().toString(36).slice(2)
        const own = id + (named ? '-' + named.replace(UNSAFE, '_').slice(-80) : name.match(/\.\w+$/) || '')
        const to = exact || (key && !key.indexOf(prefix) ? key : prefix + own)
        // An earlier attempt may be stored under its key: another key would store the file twice.
        if (doubt && to !== key) {
          doubt = false // retryOf with this error is the user's decision
          throw failure('unknown')
        }
        signed = next
        key = to
      }
      const { _form: form } = signed
      const { url, max_size: most } = form
      if (size > most) {
        throw assign(failure('too_large'), { message: `文件太大，不能超过 ${(most / 1048576).toFixed(1)} MB` })
      }
      onState('uploading', form)
      const doubted = doubt
      doubt = true
      const longMs = timeoutMs * 4 + size / 20
      const answer = await step(() => platform._upload(form, key, job._file, longMs, progress, (abort) => (end = abort)))
      const [status, , body] = answer
      const error = status < 300 ? {} : refusal(answer)
      if (error.code && !(error.code === 'exists' && doubted)) {
        if (status < 500) doubt = doubted // this attempt was certainly not stored
        if (!error.retryable) signed._ends = 0 // the next attempt needs a new form
        throw error
      }
      return {
        key,
        url: `${url}/${encodeURIComponent(key).replace(/%2F/g, '/')}`,
        etag: etagOf(answer),
        status,
        body,
      }
    }

    const job = {
      _file: file,
      _name: name,
      _request: request,
      _options: options,
      _onState: onState,
      _onCancel: (stop) => (end = stop),
      _step: step,
      _retry: retry,
    }

    enter()
    cancels.add(cancel)
    signal.addEventListener('abort', cancel)
    if (signal.aborted) cancel()
    try {
      request.size = size = size >= 0 ? size : await step(() => platform._size(file))
      job._progress = progress = follow(size, options.onProgress)
      onState('queued')
      if (!signed && queue.length < MAX_EARLY && !(size >= (multipartThreshold || signer._threshold))) {
        // A file that is refused while it waits is requested again in its turn.
        ;(early = sign(request)).catch(() => (early = 0))
      }
      await step(() => new Promise((resolve) => {
        queue.push(resolve)
        begin()
        end = () => (queue = queue.filter((each) => each !== resolve))
      }))
      try {
        await platform._open(job)
        result = await (sendParts && sendParts(job))
        try {
          result = result || (await retry(sendForm, () => (signed._ends = 0), (error) => onState('waiting', error)))
        } catch (error) {
          // Parts have a limit of their own, which a form does not show.
          if (error.code === 'too_large') result = await (sendParts && sendParts(job, true))
          if (!result) throw error
        }
        return result
      } finally {
        if (job._file !== file) platform._close(job._file)
        running--
        begin()
      }
    } catch (error) {
      error.key = error.key || key
      tries.set(error, { _signed: signed, _key: key, _doubt: doubt })
      throw error
    } finally {
      cancels.delete(cancel)
      signal.removeEventListener('abort', cancel)
      if (progress) progress(1, !!result)
      leave()
    }
  }

  return { upload, abort: () => cancels.forEach((cancel) => cancel()) }
}
