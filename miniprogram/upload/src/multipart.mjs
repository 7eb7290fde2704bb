// Uploads a large file in parts: several at the same time, each with its own retries; continues after a pause or a restart.
import { assign, failure, nothing } from './failure.mjs'
import { MAX_PARTS, createLine } from './line.mjs'
import { etagOf, refusal } from './oss-answer.mjs'
import { createPause } from './pause.mjs'
import { createRecords } from './records.mjs'
import { endOf } from './signer.mjs'

const THRESHOLD_BYTES = 20 * 2 ** 20
const MAX_SIGNED = 50
const PAUSED = {}

export const createMultipart = (platform, multipartThreshold, signer, timeoutMs) => {
  const { _call: callSigner, _base: base } = signer
  const line = createLine(timeoutMs, platform._now)
  const records = createRecords(platform)
  const active = new Set()
  let isOff

  /** Uploads the file of one job; `id`: of its record, if it has one. Returns undefined if the app has no multipart. */
  const run = async (job, id) => {
    const { _file: file, _request: request, _options: options, _step: step, _retry: retry } = job
    const { size } = request
    const { onPart = nothing, pause = createPause() } = options
    const aborts = new Set()
    let record
    let isResumed
    let urls
    let sent // bytes by part
    let loaded
    let etags // of the stored parts
    let shown
    let halt
    let interrupt // rejects the steps of all parts
    let reason // of the interruption
    let open // ends the wait of `gate`
    let closed
    let newest // response of the signer

    const show = (state, about) => {
      if (state !== shown) job._onState((shown = state), about)
    }
    const renewHalt = () => {
      reason = 0
      halt = new Promise((_, reject) => (interrupt = reject))
      halt.catch(nothing)
    }
    const stop = (error) => {
      reason = error
      interrupt(error)
      aborts.forEach((abort) => abort())
    }
    const onPause = () => {
      if (pause.paused) {
        closed = new Promise((resolve) => (open = resolve))
        stop(PAUSED)
        show('paused') // last, because the app may resume in it
      } else {
        renewHalt()
        open()
      }
    }
    const gate = async () => {
      while (pause.paused) await step(() => closed)
    }

    const send = (path, more, member) =>
      callSigner('multipart' + path, assign(record ? { upload: record.upload } : {}, more), member)
    const abort = ({ upload }) => callSigner('multipart/abort', { upload }).catch(nothing)
    const showWaiting = (error) => show('waiting', error)
    const call = (...request) => {
      const attempt = async () => {
        await gate()
        return step(() => (newest = send(...request)))
      }
      return retry(attempt, nothing, showWaiting, true)
    }

    const bytesOf = (number) => Math.min(record.part_size, size - (number - 1) * record.part_size)
    const report = (number, bytes) => {
      loaded += bytes - (sent[number] || 0)
      sent[number] = bytes
      job._progress(loaded / size)
    }
    const notify = (number, state) => onPart({ number, count: record.part_count, state })
    const store = (number, etag) => {
      etags[number] = etag
      notify(number, 'stored')
      report(number, bytesOf(number))
    }

    const keep = ({ parts }, known = urls) => {
      const batch = {} // its signatures end with the same token
      for (const part of parts) {
        batch._ends = endOf(platform, /x-oss-expires=(\d+)/.exec(part.url)[1] * 1000)
        known[part.part_number] = assign(part, { _batch: batch })
      }
    }

    const sendParts = async () => {
      const todo = []
      const known = urls // those of a new upload are others
      const current = new Set()
      let signing
      let failed
      let sending = 0
      for (let number = 1; number <= record.part_count; number++) if (!(number in etags)) todo.push(number)

      const lives = (number) => known[number] && known[number]._batch._ends > platform._now()
      const urlOf = async (number) => {
        for (let isRequested; !lives(number); ) {
          if (!signing) {
            if (isRequested) throw failure('server')
            isRequested = true
            const numbers = [...current, ...todo].filter((each) => !lives(each)).slice(0, MAX_SIGNED)
            signing = send('/parts', { part_numbers: numbers }, 'parts').then((signed) => keep(signed, known))
            const end = () => (signing = 0)
            signing.then(end, end)
          }
          await signing
        }
        return known[number]
      }

      const attempt = async (number, failures) => {
        await gate()
        if (failed) return
        const guarded = async (start) => {
          if (failed || reason) throw failed || reason
          return step(() => Promise.race([halt, start()]))
        }
        const place = line._enter()
        const start = (number - 1) * record.part_size
        let abort
        let began
        let isStored
        try {
          await guarded(() => place)
          const url = await guarded(() => urlOf(number))
          // Not guarded: `halt` and `step` would keep the result of each race, and so the whole file, in memory.
          const body = await platform._slice(file, start, bytesOf(number))
          began = platform._now()
          sending++
          show('uploading', record)
          notify(number, 'sending')
          try {
            const answer = await guarded(() => platform._put(
              url, body, line._limitMs(failures),
              (share) => aborts.has(abort) && report(number, share * bytesOf(number)),
              (end) => aborts.add((abort = end)),
            ))
            if (answer[0] >= 300) throw refusal(answer)
            isStored = true
            store(number, etagOf(answer))
          } finally {
            sending--
          }
        } catch (error) {
          // A connection that breaks shows nothing about how much it can carry.
          if (!/^(timeout|server)$/.test(error.code)) began = NaN
          if (abort) notify(number, 'waiting')
          if (error === PAUSED) return attempt(number, failures)
          if (!failed) throw error
        } finally {
          aborts.delete(abort)
          place.then(() => line._leave(platform._now() - began, isStored))
        }
      }

      const work = async () => {
        while (todo.length && !failed) {
          const number = todo.shift()
          current.add(number)
          const renew = () => (known[number]._batch._ends = 0)
          await retry((failures) => attempt(number, failures), renew, (error) => sending || showWaiting(error), true)
          current.delete(number)
        }
      }

      try {
        await Promise.all(Array.from({ length: MAX_PARTS }, work))
      } catch (error) {
        failed = error
        stop(error)
        throw error
      }
    }

    const drop = () => {
      if (id) records._drop(id)
      record = 0
    }

    const complete = async () => {
      const parts = Object.keys(etags).map((number) => ({ part_number: +number, etag: etags[number] }))
      const isKnown = parts.length && parts.every((part) => part.etag) // some pages and phones hide ETags
      const { key, url, etag, callback } = await call('/complete', isKnown && { parts }, 'key')
      drop()
      return {
        key, url, etag: etagOf([0, { etag }]), status: callback === null ? 203 : 200, body: JSON.stringify(callback) || '',
      }
    }

    const prepare = async () => {
      if (isResumed) {
        const { parts } = await call('/list', {}, 'parts')
        for (const { part_number: number, size: bytes, etag } of parts) {
          if (bytes === bytesOf(number)) store(number, etag)
        }
      } else {
        keep((record = await call('', request, 'upload')))
        delete record.parts
        if (id) records._save(id, record)
      }
    }

    renewHalt()
    job._onCancel(stop)
    pause._listeners.add(onPause)
    if (pause.paused) onPause()
    try {
      isResumed = record = id && records._load(id)
      for (let isAgain; ; isAgain = true) {
        urls = {}
        sent = {}
        loaded = 0
        etags = {}
        let isPrepared
        show('signing')
        try {
          await prepare()
          isPrepared = true
          await sendParts()
          return await complete()
        } catch (error) {
          const { code, status } = error
          // Then the app has none, or the signer of an earlier release has no such route.
          if (!record && /^(forbidden|not_found)$/.test(code)) {
            isOff = true
            return
          }
          const isGone = code === 'upload_gone'
          const isWrong = isResumed && !isPrepared && /^40[034]$/.test(status)
          if (isAgain || !(isGone || isWrong || code === 'parts_mismatch')) throw error
          renewHalt()
          isResumed = !isGone && !isWrong
          if (isResumed) continue
          if (isGone) {
            // It may be complete: the response was lost, or another page has completed it.
            try {
              etags = {}
              return await complete()
            } catch (refused) {
              if (refused.code !== 'upload_gone') throw refused
            }
          }
          drop()
        }
      }
    } catch (error) {
      if (record) {
        error.key = record.key
        // After a login, or a fix of the permissions, the upload can continue.
        if (error.code === 'cancelled' || !(error.retryable || /^40[13]$/.test(error.status))) {
          abort(record)
          drop()
        }
      } else if (newest) {
        // The upload may start after it was cancelled, and its bytes count in the limits.
        newest.then(abort, nothing)
      }
      throw error
    } finally {
      pause._listeners.delete(onPause)
    }
  }

  /** Resolves with undefined if the file is to be sent as a form. `isTooLarge`: it is too large for one. */
  return async (job, isTooLarge) => {
    const { _file: file, _name: name, _request: request } = job
    const { _threshold: appThreshold } = signer // by the newest form of the app
    const minBytes = multipartThreshold || (isTooLarge ? 1 : appThreshold || THRESHOLD_BYTES)
    const isForm = (isOff && !appThreshold) || request.size < minBytes
    const size = !isForm && (await platform._sliceableBytes(file))
    if (!size) return undefined
    request.size = size // what the app gave may be wrong
    const id = JSON.stringify([base, file.lastModified, request])
    if (!name || active.has(id)) return run(job)
    active.add(id)
    try {
      // Another page may be uploading the same file: then this one makes no record.
      return await platform._lock(id, (isLocked) => run(job, isLocked && id))
    } finally {
      active.delete(id)
    }
  }
}
