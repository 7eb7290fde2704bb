// Retries, refusals, expired forms and lost responses, in a mini-program.
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { disturbedPhone, oss, signer, uploader } from './connections.mjs'
import {
  CHINESE, contentOf, download, failureOf, objects, OSS, ossError, phone, photo, raw, setFaults, SIGNER,
} from './setup.mjs'

let device
beforeEach(() => {
  device = phone()
})

describe('retries', () => {
  beforeEach(() => {
    device = disturbedPhone()
  })

  test('a broken connection to OSS is retried', async () => {
    oss.next('reset', 'half')
    const states = []
    const path = photo('steady.jpg', 200_000)
    const result = await uploader('free').upload(path, { onState: (state, about) => states.push([state, about?.code]) })
    assert.deepEqual(await download(result.url), contentOf(path))
    assert.equal(device.sends(), 3)
    assert.equal(device.forms(), 1)
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

  test('a broken connection to the signer is retried', async () => {
    signer.next('reset', 'lose')
    await uploader('free').upload(photo())
    assert.equal(device.forms(), 3)
  })

  test('5xx of OSS is retried', async () => {
    await setFaults({ oss: [{ kind: 'status', status: 500, times: 1 }, { kind: 'throttling', times: 1 }] })
    const seen = []
    await uploader('free').upload(photo(), { onState: (_, about) => about?.code && seen.push([about.code, about.ossCode]) })
    assert.deepEqual(seen, [['server', ''], ['server', 'DownloadTrafficRateLimitExceeded']])
    assert.equal(device.sends(), 3)
  })

  test('5xx of the signer and a page of a captive portal are retried', async () => {
    signer.next({ response: raw(502, '<html>bad gateway</html>') }, { response: raw(200, '<html>log in to this WLAN</html>') })
    await uploader('free').upload(photo())
    assert.equal(device.forms(), 3)
  })

  test('429 is retried after Retry-After', async () => {
    signer.next({ response: raw(429, '{"code": "rate_limited"}', { 'Retry-After': 1 }) })
    const waits = []
    const started = performance.now()
    await uploader('free').upload(photo(), {
      onState: (_, about) => about?.code && waits.push([about.code, about.retryAfterSeconds]),
    })
    assert.deepEqual(waits, [['rate_limited', 1]])
    assert.ok(performance.now() - started > 990)
  })

  test('429 is not retried when Retry-After is too long', async () => {
    signer.next({ response: raw(429, '{"code": "rate_limited"}', { 'Retry-After': 61 }) })
    const error = await failureOf(uploader('free').upload(photo()))
    assert.deepEqual([error.code, error.retryAfterSeconds, error.retryable], ['rate_limited', 61, true])
    assert.equal(device.forms(), 1)
  })

  test('a file beyond a limit of bytes is refused with the wait', async () => {
    const problem = '{"title": "Quota exceeded", "code": "quota_exceeded", "detail": "the file has 11 bytes"}'
    signer.next({ response: raw(429, problem, { 'Retry-After': 8640 }) })
    const error = await failureOf(uploader('free').upload(photo()))
    assert.deepEqual([error.code, error.retryAfterSeconds, error.retryable], ['quota_exceeded', 8640, true])
    assert.equal(error.message, '上传额度不足，请稍后重试')
    assert.equal(error.detail, 'Quota exceeded: the file has 11 bytes')
    assert.equal(device.forms(), 1)
    signer.next({ response: raw(429, problem, { 'Retry-After': 1 }) })
    await uploader('free').upload(photo())
    assert.equal(device.forms(), 3)
  })

  test('a file that exceeds a limit in a request of several waits for the seconds of its own problem', async () => {
    signer.next({ response: raw(200, '{"uploads": [{"code": "rate_limited", "status": 429, "retry_after": 1}]}') })
    const waits = []
    const { key } = await uploader('exact').upload(photo(), {
      onState: (_, about) => about?.code && waits.push([about.code, about.retryAfterSeconds]),
    })
    assert.deepEqual(waits, [['rate_limited', 1]])
    assert.match(key, /^exact\//)
  })

  test('a request without a response fails each of its files with an error of its own', async () => {
    const app = uploader('exact', { retries: 0 })
    await app.upload(photo())
    signer.next('reset')
    const [first, second] = await Promise.all([app.upload(photo()), app.upload(photo())].map(failureOf))
    assert.deepEqual([first.code, second.code, first.message], ['network', 'network', second.message])
    assert.notEqual(first, second)
  })

  test('a file of several beyond a limit of bytes has the wait of its own problem', async () => {
    const problem = '{"title": "Quota exceeded", "code": "quota_exceeded", "status": 429, "retry_after": 8640}'
    signer.next({ response: raw(200, `{"uploads": [${problem}]}`) })
    const error = await failureOf(uploader('exact').upload(photo()))
    assert.deepEqual([error.code, error.retryAfterSeconds, error.retryable], ['quota_exceeded', 8640, true])
  })

  test('a slow response is a timeout', async () => {
    signer.next('stall', 'stall')
    const error = await failureOf(uploader('free', { timeoutMs: 30, retries: 1 }).upload(photo()))
    assert.deepEqual([error.code, error.detail, error.retryable], ['timeout', 'request:fail timeout', true])
    assert.equal(device.forms(), 2)
    oss.next('stall')
    const late = await failureOf(uploader('free', { timeoutMs: 3000, retries: 0 }).upload(photo()))
    assert.deepEqual([late.code, late.detail], ['timeout', 'uploadFile:fail timeout'])
    signer.resume()
    oss.resume()
  })

  test('the number of retries is limited', async () => {
    oss.next(...Array(9).fill('reset'))
    const error = await failureOf(uploader('free', { retries: 3 }).upload(photo()))
    assert.deepEqual([error.code, error.retryable, device.sends()], ['network', true, 4])
    assert.match(error.message, CHINESE)
    assert.match(error.key, /^free\//)
    await uploader('free', { retries: 9 }).upload(photo()) // the other five resets
    assert.equal(device.sends(), 10)
  })
})

describe('errors that are not retried', () => {
  test('a refusal of OSS has its code, request id and message', async () => {
    const error = await failureOf(uploader('nowhere').upload(photo()))
    assert.deepEqual([error.code, error.status, error.ossCode, error.ec], ['refused', 404, 'NoSuchBucket', '0015-00000101'])
    assert.match(error.requestId, /^[0-9A-F]{24}$/)
    assert.equal(error.detail, 'The specified bucket does not exist.')
    assert.match(error.message, CHINESE)
    assert.equal(error.retryable, false)
    assert.equal(device.sends(), 1)
  })

  test('refusals of a file have their codes', async () => {
    device = disturbedPhone()
    for (const [ossCode, status, code] of [
      ['EntityTooLarge', 400, 'too_large'],
      ['EntityTooSmall', 400, 'too_small'],
      ['FileAlreadyExists', 409, 'exists'],
      ['PublicEndpointForbidden', 400, 'endpoint'],
      ['SignatureDoesNotMatch', 403, 'refused'],
      ['AccessDenied', 403, 'refused'],
    ]) {
      oss.next({ response: raw(status, ossError(ossCode, 'no', '<EC>0001-1</EC>')) })
      const error = await failureOf(uploader('free').upload(photo()))
      assert.deepEqual([error.code, error.ossCode, error.status, error.requestId, error.ec], [code, ossCode, status, '5C3D', '0001-1'])
      assert.equal(error.retryable, false)
    }
    assert.equal(device.sends(), 6)
  })

  test('a form that OSS refused is not used again', async () => {
    for (const refusal of [
      raw(403, ossError('AccessDenied', 'Invalid according to Policy: Policy Condition failed')),
      raw(400, ossError('PublicEndpointForbidden', 'Not allowed using the OSS public endpoint, please use CNAME instead.')),
    ]) {
      device = disturbedPhone()
      oss.next({ response: refusal })
      const app = uploader('free')
      await failureOf(app.upload(photo()))
      await app.upload(photo())
      assert.deepEqual([device.forms(), device.sends()], [2, 2])
    }
  })

  test('an upload that OSS timed out is retried', async () => {
    device = disturbedPhone()
    oss.next({ response: raw(400, ossError('RequestTimeout', 'slow')) })
    await uploader('free').upload(photo())
    assert.equal(device.sends(), 2)
  })

  test('a domain that is not on the mini-program’s list is reported', async () => {
    device = phone({ domains: [SIGNER] })
    const error = await failureOf(uploader('free').upload(photo()))
    assert.deepEqual([error.code, error.detail, error.retryable], ['domain', 'uploadFile:fail url not in domain list', false])
    device = phone({ domains: [] })
    assert.equal((await failureOf(uploader('free').upload(photo()))).detail, 'request:fail url not in domain list')
    assert.equal(device.forms(), 1)
  })
})

describe('an expired form', () => {
  test('is replaced when its policy has expired', async () => {
    await setFaults({ oss: { kind: 'clock', offset_seconds: 7200, times: 1 } })
    const app = uploader('free')
    const result = await app.upload(photo())
    assert.equal(result.status, 200)
    assert.deepEqual([device.forms(), device.sends()], [2, 2])
    await app.upload(photo())
    assert.equal(device.forms(), 2)
  })

  test('is replaced only once', async () => {
    await setFaults({ oss: { kind: 'clock', offset_seconds: 7200 } })
    const error = await failureOf(uploader('exact').upload(photo()))
    assert.deepEqual([error.code, error.ossCode, error.retryable], ['expired', 'AccessDenied', true])
    assert.match(error.detail, /Policy expired/)
    assert.deepEqual([device.forms(), device.sends()], [2, 2])
  })

  test('is replaced when its token has expired', async () => {
    device = disturbedPhone()
    for (const code of ['SecurityTokenExpired', 'InvalidSecurityToken', 'InvalidAccessKeyId']) {
      oss.next({ response: raw(403, ossError(code, 'over')) })
      await uploader('exact').upload(photo())
    }
    assert.deepEqual([device.forms(), device.sends()], [6, 6])
  })
})

describe('a lost response', () => {
  const before = {}
  const added = async (app) => (await objects(`${app}/`)).filter((each) => !before[app].includes(each.key))

  beforeEach(async () => {
    device = disturbedPhone()
    for (const app of ['free', 'exact']) before[app] = (await objects(`${app}/`)).map((each) => each.key)
  })

  test('the retry uses the same key', async () => {
    oss.next('lose', 'lose')
    const result = await uploader('free').upload(photo())
    assert.equal(device.sends(), 3)
    assert.deepEqual((await added('free')).map((each) => each.key), [result.key])
  })

  test('FileAlreadyExists then means success', async () => {
    oss.next('lose')
    const path = photo()
    const result = await uploader('exact').upload(path)
    assert.equal(result.status, 409)
    assert.equal(device.sends(), 2)
    assert.deepEqual((await added('exact')).map((each) => each.key), [result.key])
    assert.deepEqual(await download(result.url), contentOf(path))
  })

  test('FileAlreadyExists means success even after another refusal', async () => {
    oss.next('lose', { response: raw(400, ossError('RequestTimeout', 'slow')) })
    const result = await uploader('exact').upload(photo())
    assert.equal(result.status, 409)
    assert.equal((await added('exact')).length, 1)
  })

  test('a new form of the same prefix keeps the key', async () => {
    oss.next('lose', { response: raw(403, ossError('AccessDenied', 'Invalid according to Policy: Policy expired.')) })
    const result = await uploader('free').upload(photo())
    assert.equal(device.forms(), 2)
    assert.deepEqual((await added('free')).map((each) => each.key), [result.key])
  })

  test('a new form with another key is not used, because the file could be stored twice', async () => {
    oss.next('lose', { response: raw(403, ossError('AccessDenied', 'Invalid according to Policy: Policy expired.')) })
    const app = uploader('exact')
    const path = photo()
    const error = await failureOf(app.upload(path))
    assert.deepEqual([error.code, error.retryable], ['unknown', false])
    assert.match(error.message, CHINESE)
    assert.deepEqual((await added('exact')).map((each) => each.key), [error.key])
    const again = await app.upload(path, { retryOf: error }) // the user has decided so
    assert.notEqual(again.key, error.key)
    assert.equal((await added('exact')).length, 2)
  })

  test('retryOf continues a failed upload', async () => {
    oss.next('lose')
    const app = uploader('exact', { retries: 0 })
    const path = photo()
    const error = await failureOf(app.upload(path))
    assert.equal(error.code, 'network')
    const result = await app.upload(path, { retryOf: error })
    assert.deepEqual([result.key, result.status], [error.key, 409])
    assert.equal((await added('exact')).length, 1)
    assert.equal(device.forms(), 1)
  })

  test('retryOf of a refused upload starts again', async () => {
    oss.next({ response: raw(403, ossError('AccessDenied', 'no')) })
    const app = uploader('free', { retries: 0 })
    const path = photo()
    const error = await failureOf(app.upload(path))
    const result = await app.upload(path, { retryOf: error })
    assert.equal(result.key, error.key)
    await app.upload(path, { retryOf: undefined })
    assert.equal((await added('free')).length, 2)
  })
})
