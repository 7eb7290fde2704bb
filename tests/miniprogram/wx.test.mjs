// The library in a mini-program: one file from its path to the bucket, and what a phone's network does to it.
import assert from 'node:assert/strict'
import { after, afterEach, beforeEach, describe, test } from 'node:test'
import { createCancel, createUploader } from '../../miniprogram/oss-upload/src/wx.mjs'
import {
  API_KEY, CHINESE, OSS, SIGNER, contentOf, createProxy, failed, fast, faults, objects, ossError, phone, photo, raw,
  stored, until, wechatCode,
} from './setup.mjs'

const uploader = (appId, options = {}) => createUploader({ endpoint: SIGNER, appId, ...fast, ...options })

const oss = await createProxy(Number(new URL(OSS).port))
const signer = await createProxy(Number(new URL(SIGNER).port))
after(() => Promise.all([oss.close(), signer.close()]))

/** A phone whose way to the signer and to OSS may be disturbed. */
const disturbed = (options = {}) =>
  phone({ routes: { [new URL(OSS).origin]: oss.port, [new URL(SIGNER).origin]: signer.port }, ...options })

let here
beforeEach(() => {
  here = phone()
})
afterEach(() => faults({}))

describe('one file', () => {
  test('arrives whole, below the prefix, and is there at its url', async () => {
    const path = photo()
    const result = await uploader('free').upload(path)
    assert.match(result.key, /^free\/[0-9a-z]{12,}\.jpg$/)
    assert.deepEqual(await stored(result.url), contentOf(path))
    assert.equal(result.status, 200)
    const [object] = (await objects('free/')).filter((each) => each.key === result.key)
    assert.equal(object.content_type, 'image/jpeg')
  })

  test('keeps a readable name of its own, without what is special in keys', async () => {
    const result = await uploader('free').upload(photo(), { filename: 'a/b\\$ 我的照片?*\u202e #1.jpg' })
    assert.match(result.key, /^free\/[0-9a-z]{12,}-a_b__+我的照片_+1\.jpg$/)
    assert.ok((await stored(result.url)).length)
    const long = await uploader('free').upload(photo(), { filename: `${'长'.repeat(400)}.jpg` })
    assert.match(long.key, /长{76}\.jpg$/)
  })

  test('goes under the key that the signer names', async () => {
    const exact = await uploader('exact').upload(photo())
    assert.match(exact.key, /^exact\/[0-9a-f]{32}\.jpg$/)
    const named = await uploader('named').upload(photo(), { filename: '海边 1#.jpg' })
    assert.equal(named.key, 'named/海边 1#.jpg')
    assert.ok((await stored(named.url)).length)
  })

  test('has the type that is said, or the one of its name', async () => {
    const app = uploader('typed')
    const said = await app.upload(photo('no-extension'), { contentType: 'image/png' })
    const guessed = await app.upload(photo('picture.png'))
    const types = Object.fromEntries((await objects('typed/')).map((each) => [each.key, each.content_type]))
    assert.equal(types[said.key], 'image/png')
    assert.equal(types[guessed.key], 'image/png')
    assert.match(said.key, /^typed\/\w+$/)
  })
})

describe('answers of OSS', () => {
  const sent = async (app, options) => {
    phone(options)
    const result = await uploader(app).upload(photo())
    const [object] = (await objects(`${app}/`)).filter((each) => each.key === result.key)
    return { ...result, real: object.etag.replaceAll('"', '') }
  }

  test('the etag comes from headers in any case, early or late, from XML, or not at all', async () => {
    const late = { tellsHeaders: false, headersWithUpload: true }
    for (const options of [{}, late, { cased: (name) => name.toLowerCase() }, { cased: (name) => name.toUpperCase() }]) {
      const { etag, real } = await sent('free', options)
      assert.equal(etag, real)
    }
    const deaf = { tellsHeaders: false }
    const xml = await sent('s201', deaf)
    assert.equal(xml.etag, xml.real)
    assert.equal((await sent('free', deaf)).etag, undefined)
  })

  test('200, 201 and 204 are all success', async () => {
    for (const [app, status] of [['free', 200], ['s201', 201], ['s204', 204]]) {
      const result = await sent(app)
      assert.equal(result.status, status)
      assert.equal(result.etag, result.real)
    }
  })

  test('with a callback the answer of the app’s own server is the body', async () => {
    const result = await uploader('told').upload(photo(), { vars: { order: '42' } })
    assert.equal(result.status, 200)
    assert.deepEqual(JSON.parse(result.body), { seen: result.key, order: '42' })
  })

  test('203: the file is stored, and only the callback failed', async () => {
    const result = await uploader('untold').upload(photo(), { vars: { order: '42' } })
    assert.equal(result.status, 203)
    assert.match(result.body, /CallbackFailed/)
    assert.ok((await stored(result.url)).length)
    assert.equal(here.sends(), 1)
  })
})

describe('forms', () => {
  test('one with a prefix serves many files, each under its own key', async () => {
    const app = uploader('free')
    const results = await Promise.all(Array.from({ length: 12 }, () => app.upload(photo())))
    assert.equal(new Set(results.map((each) => each.key)).size, 12)
    assert.equal(here.forms(), 1)
    await app.upload(photo())
    assert.equal(here.forms(), 1)
  })

  test('one with an exact key serves one file', async () => {
    const app = uploader('exact')
    const results = await Promise.all(Array.from({ length: 6 }, () => app.upload(photo())))
    assert.equal(new Set(results.map((each) => each.key)).size, 6)
    assert.equal(here.forms(), 6)
  })

  test('other types and other vars need forms of their own', async () => {
    const app = uploader('told')
    const vars = { order: '1' }
    await app.upload(photo(), { vars })
    await app.upload(photo(), { vars })
    assert.equal(here.forms(), 1)
    const other = await app.upload(photo(), { vars: { order: '2' } })
    assert.equal(JSON.parse(other.body).order, '2')
    await app.upload(photo(), { vars, contentType: 'image/gif' })
    assert.equal(here.forms(), 3)
  })

  test('what one file is refused for does not fail the others', async () => {
    const app = uploader('free')
    const large = failed(app.upload(photo(), { size: 2 ** 30 }))
    const small = app.upload(photo())
    assert.equal((await large).code, 'too_large')
    assert.match((await small).key, /^free\//)
  })

  test('one is reused while it lives, by what went by and not by what the clock says', async () => {
    const now = Date.now
    const set = (ms) => (Date.now = () => now() + ms)
    const minute = 60_000
    try {
      set(-5 * 365 * 24 * 60 * minute) // five years slow from the start
      const app = uploader('free')
      await app.upload(photo())
      assert.equal(here.forms(), 1)
      set(-6 * 365 * 24 * 60 * minute) // set back
      await app.upload(photo())
      assert.equal(here.forms(), 1)
      set(-6 * 365 * 24 * 60 * minute + 12 * minute) // twelve of its fifteen minutes later
      await app.upload(photo())
      assert.equal(here.forms(), 1)
      set(-6 * 365 * 24 * 60 * minute + 14.5 * minute)
      await app.upload(photo())
      assert.equal(here.forms(), 2)
    } finally {
      Date.now = now
    }
    assert.equal(here.sends(), 4)
  })
})

describe('before anything is sent', () => {
  test('the signer says what is too large; a form in hand says it too', async () => {
    const app = uploader('free')
    const asked = await failed(app.upload(photo(), { size: 2 ** 20 + 1 }))
    assert.deepEqual([asked.code, asked.status, asked.retryable], ['too_large', 413, false])
    assert.match(asked.detail, /1048577 bytes/)
    assert.match(asked.requestId, /^\w{8,}/)
    await app.upload(photo())
    const known = await failed(app.upload(photo('large.jpg', 2 ** 20 + 1)))
    assert.deepEqual([known.code, known.message, known.retryable], ['too_large', '文件太大，不能超过 1.0 MB', false])
    assert.equal(here.forms(), 2)
    assert.equal(here.sends(), 1)
  })

  test('a type that the app does not take', async () => {
    const error = await failed(uploader('typed').upload(photo('a.gif')))
    assert.deepEqual([error.code, error.status, error.retryable], ['unsupported_type', 415, false])
    assert.match(error.message, CHINESE)
    assert.match(error.detail, /: this app allows image\/png/)
    assert.equal(here.sends(), 0)
  })

  test('an empty file is for the signer to judge, even with a form in hand', async () => {
    const app = uploader('free')
    await app.upload(photo())
    const error = await failed(app.upload(photo('empty.jpg', 0)))
    assert.equal(error.code, 'invalid_request')
    assert.match(error.message, CHINESE)
    assert.equal(here.sends(), 1)
  })

  test('a file that is not there', async () => {
    const error = await failed(uploader('free').upload('wxfile://gone.jpg'))
    assert.deepEqual([error.code, error.retryable], ['file', false])
    assert.match(error.detail, /no such file/)
    assert.equal(here.forms(), 0)
    const later = await failed(uploader('free').upload('wxfile://gone.jpg', { size: 10 }))
    assert.deepEqual([later.code, later.detail], ['file', 'uploadFile:fail file not found'])
    assert.equal(here.sends(), 1)
  })

  test('an app that is switched off, one that nobody knows', async () => {
    assert.equal((await failed(uploader('off').upload(photo()))).code, 'app_disabled')
    const unknown = await failed(uploader('nobody').upload(photo()))
    assert.equal(unknown.code, 'unknown_app')
    assert.match(unknown.message, CHINESE)
    assert.equal(here.forms(), 2)
  })
})

describe('many at once', () => {
  test('four, unless told otherwise', async () => {
    for (const [concurrency, most] of [[undefined, 4], [1, 1], [3, 3]]) {
      here = phone()
      const app = uploader('free', { concurrency })
      await Promise.all(Array.from({ length: 9 }, () => app.upload(photo())))
      assert.equal(here.uploads.most, most)
    }
  })

  test('never more than wx takes', async () => {
    here = disturbed()
    oss.next(...Array(10).fill('stall'))
    const app = uploader('free', { concurrency: 99 })
    const all = Promise.all(Array.from({ length: 14 }, () => app.upload(photo())))
    await until(() => oss.stalled() === 10)
    assert.equal(here.sends(), 10)
    oss.resume()
    await all
    assert.equal(here.sends(), 14)
  })
})

describe('what is worth it is tried again', () => {
  beforeEach(() => {
    here = disturbed()
  })

  test('a broken connection to OSS', async () => {
    oss.next('reset', 'half')
    const states = []
    const path = photo('steady.jpg', 200_000)
    const result = await uploader('free').upload(path, { onState: (state, about) => states.push([state, about?.code]) })
    assert.deepEqual(await stored(result.url), contentOf(path))
    assert.equal(here.sends(), 3)
    assert.equal(here.forms(), 1)
    assert.deepEqual(states, [
      ['queued', undefined],
      ['signing', undefined],
      ['uploading', undefined],
      ['waiting', 'network'],
      ['uploading', undefined],
      ['waiting', 'network'],
      ['uploading', undefined],
    ])
  })

  test('a broken connection to the signer', async () => {
    signer.next('reset', 'lose')
    await uploader('free').upload(photo())
    assert.equal(here.forms(), 3)
  })

  test('5xx of OSS', async () => {
    await faults({ oss: [{ kind: 'status', status: 500, times: 1 }, { kind: 'throttling', times: 1 }] })
    const seen = []
    await uploader('free').upload(photo(), { onState: (_, about) => about?.code && seen.push([about.code, about.ossCode]) })
    assert.deepEqual(seen, [['server', ''], ['server', 'DownloadTrafficRateLimitExceeded']])
    assert.equal(here.sends(), 3)
  })

  test('5xx of the signer, and a page of something in between', async () => {
    signer.next({ answer: raw(502, '<html>bad gateway</html>') }, { answer: raw(200, '<html>log in to this WLAN</html>') })
    await uploader('free').upload(photo())
    assert.equal(here.forms(), 3)
  })

  test('429, after as long as it asks for', async () => {
    const app = uploader('limited')
    const waits = []
    const onState = (_, about) => about?.code && waits.push([about.code, about.retryAfterSeconds])
    await app.upload(photo(), { onState })
    const started = performance.now()
    await app.upload(photo(), { onState })
    assert.deepEqual(waits, [['rate_limited', 1]])
    assert.ok(performance.now() - started > 990)
  })

  test('but not when that is too long', async () => {
    signer.next({ answer: raw(429, '{"code": "rate_limited"}', { 'Retry-After': 61 }) })
    const error = await failed(uploader('free').upload(photo()))
    assert.deepEqual([error.code, error.retryAfterSeconds, error.retryable], ['rate_limited', 61, true])
    assert.equal(here.forms(), 1)
  })

  test('a slow answer is a timeout', async () => {
    signer.next('stall', 'stall')
    const error = await failed(uploader('free', { timeoutMs: 30, retries: 1 }).upload(photo()))
    assert.deepEqual([error.code, error.detail, error.retryable], ['timeout', 'request:fail timeout', true])
    assert.equal(here.forms(), 2)
    oss.next('stall')
    const late = await failed(uploader('free', { timeoutMs: 50, retries: 0 }).upload(photo()))
    assert.deepEqual([late.code, late.detail], ['timeout', 'uploadFile:fail timeout'])
    signer.resume()
    oss.resume()
  })

  test('only so often', async () => {
    oss.next(...Array(9).fill('reset'))
    const error = await failed(uploader('free', { retries: 3 }).upload(photo()))
    assert.deepEqual([error.code, error.retryable, here.sends()], ['network', true, 4])
    assert.match(error.message, CHINESE)
    assert.match(error.key, /^free\//)
    await uploader('free', { retries: 9 }).upload(photo()) // the other five
    assert.equal(here.sends(), 10)
  })
})

describe('what is not worth it is tried once', () => {
  test('a refusal of OSS, with its own code, request id and words', async () => {
    const error = await failed(uploader('nowhere').upload(photo()))
    assert.deepEqual([error.code, error.status, error.ossCode, error.ec], ['refused', 404, 'NoSuchBucket', '0015-00000101'])
    assert.match(error.requestId, /^[0-9A-F]{24}$/)
    assert.equal(error.detail, 'The specified bucket does not exist.')
    assert.match(error.message, CHINESE)
    assert.equal(error.retryable, false)
    assert.equal(here.sends(), 1)
  })

  test('what OSS says of a file', async () => {
    here = disturbed()
    for (const [ossCode, status, code] of [
      ['EntityTooLarge', 400, 'too_large'],
      ['EntityTooSmall', 400, 'too_small'],
      ['FileAlreadyExists', 409, 'exists'],
      ['SignatureDoesNotMatch', 403, 'refused'],
      ['AccessDenied', 403, 'refused'],
    ]) {
      oss.next({ answer: raw(status, ossError(ossCode, 'no', '<EC>0001-1</EC>')) })
      const error = await failed(uploader('free').upload(photo()))
      assert.deepEqual([error.code, error.ossCode, error.status, error.requestId, error.ec], [code, ossCode, status, '5C3D', '0001-1'])
      assert.equal(error.retryable, false)
    }
    assert.equal(here.sends(), 5)
  })

  test('a form that OSS refused is not used for the next file', async () => {
    here = disturbed()
    oss.next({ answer: raw(403, ossError('AccessDenied', 'Invalid according to Policy: Policy Condition failed')) })
    const app = uploader('free')
    await failed(app.upload(photo()))
    await app.upload(photo())
    assert.deepEqual([here.forms(), here.sends()], [2, 2])
  })

  test('an upload that OSS found too slow is tried again', async () => {
    here = disturbed()
    oss.next({ answer: raw(400, ossError('RequestTimeout', 'slow')) })
    await uploader('free').upload(photo())
    assert.equal(here.sends(), 2)
  })

  test('a domain that is not on the list', async () => {
    here = phone({ domains: [SIGNER] })
    const error = await failed(uploader('free').upload(photo()))
    assert.deepEqual([error.code, error.detail, error.retryable], ['domain', 'uploadFile:fail url not in domain list', false])
    here = phone({ domains: [] })
    assert.equal((await failed(uploader('free').upload(photo()))).detail, 'request:fail url not in domain list')
    assert.equal(here.forms(), 1)
  })
})

describe('a form that is over', () => {
  test('is replaced once, for an ended policy', async () => {
    await faults({ oss: { kind: 'clock', offset_seconds: 7200, times: 1 } })
    const app = uploader('free')
    const result = await app.upload(photo())
    assert.equal(result.status, 200)
    assert.deepEqual([here.forms(), here.sends()], [2, 2])
    await app.upload(photo())
    assert.equal(here.forms(), 2)
  })

  test('and only once', async () => {
    await faults({ oss: { kind: 'clock', offset_seconds: 7200 } })
    const error = await failed(uploader('exact').upload(photo()))
    assert.deepEqual([error.code, error.ossCode, error.retryable], ['expired', 'AccessDenied', true])
    assert.match(error.detail, /Policy expired/)
    assert.deepEqual([here.forms(), here.sends()], [2, 2])
  })

  test('is replaced for a token that has ended', async () => {
    here = disturbed()
    for (const code of ['SecurityTokenExpired', 'InvalidSecurityToken', 'InvalidAccessKeyId']) {
      oss.next({ answer: raw(403, ossError(code, 'over')) })
      await uploader('exact').upload(photo())
    }
    assert.deepEqual([here.forms(), here.sends()], [6, 6])
  })
})

describe('an answer that was lost', () => {
  const before = {}
  const added = async (app) => (await objects(`${app}/`)).filter((each) => !before[app].includes(each.key))

  beforeEach(async () => {
    here = disturbed()
    for (const app of ['free', 'exact']) before[app] = (await objects(`${app}/`)).map((each) => each.key)
  })

  test('the same key is sent again', async () => {
    oss.next('lose', 'lose')
    const result = await uploader('free').upload(photo())
    assert.equal(here.sends(), 3)
    assert.deepEqual((await added('free')).map((each) => each.key), [result.key])
  })

  test('FileAlreadyExists is then the answer that was lost', async () => {
    oss.next('lose')
    const path = photo()
    const result = await uploader('exact').upload(path)
    assert.equal(result.status, 409)
    assert.equal(here.sends(), 2)
    assert.deepEqual((await added('exact')).map((each) => each.key), [result.key])
    assert.deepEqual(await stored(result.url), contentOf(path))
  })

  test('a refusal in between does not make it forgotten', async () => {
    oss.next('lose', { answer: raw(400, ossError('RequestTimeout', 'slow')) })
    const result = await uploader('exact').upload(photo())
    assert.equal(result.status, 409)
    assert.equal((await added('exact')).length, 1)
  })

  test('a new form of the same prefix keeps the key', async () => {
    oss.next('lose', { answer: raw(403, ossError('AccessDenied', 'Invalid according to Policy: Policy expired.')) })
    const result = await uploader('free').upload(photo())
    assert.equal(here.forms(), 2)
    assert.deepEqual((await added('free')).map((each) => each.key), [result.key])
  })

  test('a new form of another key is not used: the file would be stored twice', async () => {
    oss.next('lose', { answer: raw(403, ossError('AccessDenied', 'Invalid according to Policy: Policy expired.')) })
    const app = uploader('exact')
    const path = photo()
    const error = await failed(app.upload(path))
    assert.deepEqual([error.code, error.retryable], ['unknown', false])
    assert.match(error.message, CHINESE)
    assert.deepEqual((await added('exact')).map((each) => each.key), [error.key])
    const again = await app.upload(path, { retryOf: error }) // somebody has decided so
    assert.notEqual(again.key, error.key)
    assert.equal((await added('exact')).length, 2)
  })

  test('retryOf goes on where an upload has failed', async () => {
    oss.next('lose')
    const app = uploader('exact', { retries: 0 })
    const path = photo()
    const error = await failed(app.upload(path))
    assert.equal(error.code, 'network')
    const result = await app.upload(path, { retryOf: error })
    assert.deepEqual([result.key, result.status], [error.key, 409])
    assert.equal((await added('exact')).length, 1)
    assert.equal(here.forms(), 1)
  })

  test('retryOf of an upload that was refused begins anew', async () => {
    oss.next({ answer: raw(403, ossError('AccessDenied', 'no')) })
    const app = uploader('free', { retries: 0 })
    const path = photo()
    const error = await failed(app.upload(path))
    const result = await app.upload(path, { retryOf: error })
    assert.equal(result.key, error.key)
    await app.upload(path, { retryOf: undefined })
    assert.equal((await added('free')).length, 2)
  })
})

describe('cancelling', () => {
  beforeEach(() => {
    here = disturbed()
  })

  test('before it begins', async () => {
    const cancel = createCancel()
    cancel.abort()
    const error = await failed(uploader('free').upload(photo(), { signal: cancel.signal }))
    assert.deepEqual([error.code, error.message, error.retryable], ['cancelled', '已取消上传', true])
    assert.equal(here.forms(), 0)
  })

  test('while it waits for its turn', async () => {
    oss.next('stall')
    const app = uploader('free', { concurrency: 1 })
    const first = app.upload(photo())
    await until(() => oss.stalled() === 1)
    const cancel = createCancel()
    let queued = 0
    const onState = (state) => state === 'queued' && (queued += 1)
    const second = failed(app.upload(photo(), { signal: cancel.signal, onState }))
    const third = app.upload(photo(), { onState })
    await until(() => queued === 2)
    cancel.abort()
    assert.equal((await second).code, 'cancelled')
    oss.resume()
    await Promise.all([first, third])
    assert.equal(here.sends(), 2)
  })

  test('while the form is asked for', async () => {
    signer.next('stall')
    const app = uploader('free')
    const cancel = createCancel()
    const one = failed(app.upload(photo(), { signal: cancel.signal }))
    const other = app.upload(photo())
    await until(() => signer.stalled() === 1)
    cancel.abort()
    assert.equal((await one).code, 'cancelled')
    signer.resume()
    await other
    assert.deepEqual([here.forms(), here.sends()], [1, 1])
  })

  test('while it is on its way; its place is free again', async () => {
    oss.next('stall')
    const app = uploader('free', { concurrency: 1 })
    const cancel = createCancel()
    const path = photo()
    const one = failed(app.upload(path, { signal: cancel.signal }))
    const other = app.upload(photo())
    await until(() => oss.stalled() === 1)
    cancel.abort()
    cancel.abort()
    const error = await one
    assert.equal(error.code, 'cancelled')
    await until(() => oss.stalled() === 0) // the connection is closed
    await other
    const again = await app.upload(path, { retryOf: error })
    assert.equal(again.key, error.key)
  })

  test('while it waits to be tried again', async () => {
    oss.next('reset')
    const cancel = createCancel()
    const app = uploader('free', { retryDelayMs: 60_000 })
    const onState = (state) => state === 'waiting' && setTimeout(cancel.abort)
    assert.equal((await failed(app.upload(photo(), { signal: cancel.signal, onState }))).code, 'cancelled')
    assert.equal(here.sends(), 1)
  })

  test('at the moment that it begins to be sent', async () => {
    const cancel = createCancel()
    const onState = (state) => state === 'uploading' && cancel.abort()
    assert.equal((await failed(uploader('free').upload(photo(), { signal: cancel.signal, onState }))).code, 'cancelled')
    assert.equal(here.sends(), 0)
  })

  test('all files', async () => {
    oss.next('stall', 'stall')
    const app = uploader('free', { concurrency: 2 })
    const all = [photo(), photo(), photo()].map((path) => failed(app.upload(path)))
    await until(() => oss.stalled() === 2)
    app.abort()
    assert.deepEqual((await Promise.all(all)).map((each) => each.code), ['cancelled', 'cancelled', 'cancelled'])
    await app.upload(photo())
  })

  test('too late changes nothing, and leaves no listener behind', async () => {
    const cancel = createCancel()
    let listening = 0
    const signal = {
      get aborted() {
        return cancel.signal.aborted
      },
      addEventListener: () => (listening += 1),
      removeEventListener: () => (listening -= 1),
    }
    const result = await uploader('free').upload(photo(), { signal })
    cancel.abort()
    assert.ok(result.key)
    assert.equal(listening, 0)
  })
})

describe('progress', () => {
  const rising = (values) => values.every((value, index) => index === 0 || value >= values[index - 1])

  test('of one file never goes back, and is 100 only when it is there', async () => {
    here = disturbed()
    oss.next('half', 'half')
    const size = 400_000
    const seen = []
    let over = false
    const path = photo('progress.jpg', size)
    await uploader('free').upload(path, { onProgress: (progress) => seen.push({ ...progress, over }) }).then(() => (over = true))
    assert.ok(seen.length > 5)
    assert.ok(rising(seen.map((each) => each.loaded)) && rising(seen.map((each) => each.percent)))
    assert.ok(seen.every((each) => each.total === size && each.loaded <= size && !each.over))
    assert.deepEqual(seen.filter((each) => each.percent === 100).length, 1)
    assert.deepEqual(seen.at(-1), { loaded: size, total: size, percent: 100, over: false })
  })

  test('of all files never goes back either, whatever becomes of them', async () => {
    here = disturbed()
    oss.next('half', 'lose', { answer: raw(403, ossError('AccessDenied', 'no')) })
    const seen = []
    const app = uploader('free', { onProgress: (progress) => seen.push(progress) })
    const cancel = createCancel()
    const all = Array.from({ length: 8 }, (_, index) =>
      app.upload(photo(undefined, 100_000), index === 7 ? { signal: cancel.signal } : {}),
    )
    cancel.abort()
    const results = await Promise.allSettled(all)
    assert.equal(results.filter((each) => each.status === 'rejected').length, 2)
    for (const name of ['loaded', 'percent', 'finished']) assert.ok(rising(seen.map((each) => each[name])), name)
    assert.ok(seen.every((each) => each.files === 8 && (each.percent < 100 || each.finished === 8)))
    assert.deepEqual(seen.at(-1), { loaded: 700_000, total: 700_000, percent: 100, files: 8, finished: 8 })
    seen.length = 0
    await app.upload(photo(undefined, 50_000))
    assert.deepEqual(seen.at(-1), { loaded: 50_000, total: 50_000, percent: 100, files: 1, finished: 1 })
  })

  test('of files that were given up is no success of theirs', async () => {
    const seen = []
    await failed(uploader('nowhere').upload(photo(), { onProgress: (progress) => seen.push(progress.percent) }))
    assert.ok(!seen.includes(100))
  })
})

describe('who asks', () => {
  const users = (options) => uploader('users', options)

  test('wx.login is called when the signer wants it, and once for many files', async () => {
    here = phone({ logIn: wechatCode })
    const app = users({ concurrency: 8 })
    await Promise.all(Array.from({ length: 8 }, () => app.upload(photo())))
    assert.equal(here.logins(), 1)
    assert.equal(here.forms(), 2) // the first is answered with 401
    await app.upload(photo('other.png'))
    assert.equal(here.logins(), 1)
    assert.ok(here.calls.at(-2).header['X-Session'])
  })

  test('many files that all need forms share one login too', async () => {
    here = phone({ logIn: wechatCode })
    const app = uploader('passing', { concurrency: 6 })
    await Promise.all(Array.from({ length: 6 }, () => app.upload(photo())))
    assert.equal(here.logins(), 1)
    here.storage.clear()
  })

  test('the session outlives the page', async () => {
    here = phone({ logIn: wechatCode })
    await users().upload(photo())
    assert.equal(here.storage.size, 1)
    await users().upload(photo())
    assert.deepEqual([here.logins(), here.forms()], [1, 3])
  })

  test('one that the signer refuses is replaced, the user sees nothing of it', async () => {
    here = phone({ logIn: wechatCode })
    await users().upload(photo())
    for (const key of here.storage.keys()) here.wx.setStorageSync(key, 'not a session')
    const app = users({ concurrency: 6 })
    await Promise.all(['a.jpg', 'b.png', 'c.gif', 'd.mp4'].map((name) => app.upload(photo(name))))
    assert.equal(here.logins(), 2)
  })

  test('a session that the signer renews is kept', async () => {
    here = phone({ logIn: wechatCode })
    await uploader('passing').upload(photo())
    const [key] = here.storage.keys()
    const newer = here.wx.getStorageSync(key)
    here = disturbed({ logIn: wechatCode })
    signer.next('pass', 'pass', { adds: `X-Session: ${newer}` })
    const app = uploader('passing')
    await app.upload(photo())
    await app.upload(photo())
    await app.upload(photo())
    assert.equal(here.calls.filter((each) => each.api === 'request').at(-1).header['X-Session'], newer)
    assert.deepEqual([...here.storage.values()], [JSON.stringify(newer)])
    assert.equal(here.logins(), 1)
  })

  test('a code that the signer does not take is tried once', async () => {
    const error = await failed(users().upload(photo()))
    assert.deepEqual([error.code, error.status, error.retryable], ['unauthenticated', 401, false])
    assert.match(error.message, CHINESE)
    assert.deepEqual([here.logins(), here.forms()], [1, 2])
  })

  test('wx.login may fail for a moment', async () => {
    let left = 2
    here = phone({ logIn: () => (left-- > 0 ? Promise.reject(new Error('system error')) : wechatCode()) })
    await users().upload(photo())
    assert.equal(here.logins(), 3)
    left = 99
    here = phone({ logIn: () => Promise.reject(new Error('system error')) })
    const error = await failed(users({ retries: 1 }).upload(photo()))
    assert.deepEqual([error.code, error.detail], ['login', 'login:fail system error'])
    assert.match(error.message, CHINESE)
  })

  test('a login whose answer is lost is made again, with a new code', async () => {
    here = disturbed({ logIn: wechatCode })
    signer.next('pass', 'lose')
    await users().upload(photo())
    assert.equal(here.logins(), 2)
  })

  test('login: false never calls wx.login', async () => {
    here = phone({ logIn: wechatCode })
    const error = await failed(users({ login: false }).upload(photo()))
    assert.deepEqual([error.code, here.logins()], ['unauthenticated', 0])
  })

  test('a storage that is broken costs a login, nothing more', async () => {
    here = phone({ logIn: wechatCode })
    here.wx.getStorageSync = () => {
      throw new Error('getStorageSync:fail')
    }
    await users().upload(photo())
    assert.equal(here.logins(), 1)
  })

  test('own headers are sent, and asked for anew after a 401', async () => {
    const asked = []
    const headers = async (refused) => {
      asked.push(!!refused)
      return { 'X-Api-Key': refused ? API_KEY : 'an old key' }
    }
    const app = uploader('keyed', { headers, login: false })
    assert.match((await app.upload(photo())).key, /^keyed\//)
    assert.deepEqual(asked, [false, true])
    assert.equal(here.logins(), 0)
  })
})

describe('a whole album over a bad network', () => {
  test('all arrive exactly once', async () => {
    here = disturbed({ logIn: wechatCode })
    const old = new Set((await objects('passing/')).map((each) => each.key))
    oss.next('reset', 'pass', 'lose', 'half', { answer: raw(503, ossError('ServerBusy', 'busy')) }, 'pass', 'lose', 'reset')
    signer.next('pass', 'reset', 'lose', { answer: raw(500) }, 'pass', 'reset')
    const app = uploader('passing', { concurrency: 6 })
    const paths = Array.from({ length: 30 }, () => photo(undefined, 30_000))
    const results = await Promise.all(paths.map((path) => app.upload(path)))
    const there = (await objects('passing/')).filter((each) => !old.has(each.key)).map((each) => each.key)
    assert.deepEqual(there.sort(), results.map((each) => each.key).sort())
    for (const [index, result] of results.entries()) assert.deepEqual(await stored(result.url), contentOf(paths[index]))
  })
})
