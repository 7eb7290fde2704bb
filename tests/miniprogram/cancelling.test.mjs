// Cancelling and progress, in a mini-program.
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { createCancel } from '../../miniprogram/upload/src/wx.mjs'
import { disturbedPhone, oss, signer, uploader } from './connections.mjs'
import { failureOf, ossError, phone, photo, raw, waitUntil } from './setup.mjs'

let device
beforeEach(() => {
  device = phone()
})

describe('cancelling', () => {
  beforeEach(() => {
    device = disturbedPhone()
  })

  test('before the start', async () => {
    const cancel = createCancel()
    cancel.abort()
    const error = await failureOf(uploader('free').upload(photo(), { signal: cancel.signal }))
    assert.deepEqual([error.code, error.message, error.retryable], ['cancelled', '已取消上传', true])
    assert.equal(device.forms(), 0)
  })

  test('in the queue', async () => {
    oss.next('stall')
    const app = uploader('free', { concurrency: 1 })
    const first = app.upload(photo())
    await waitUntil(() => oss.stalled() === 1)
    const cancel = createCancel()
    let queued = 0
    const onState = (state) => state === 'queued' && (queued += 1)
    const second = failureOf(app.upload(photo(), { signal: cancel.signal, onState }))
    const third = app.upload(photo(), { onState })
    await waitUntil(() => queued === 2)
    cancel.abort()
    assert.equal((await second).code, 'cancelled')
    oss.resume()
    await Promise.all([first, third])
    assert.equal(device.sends(), 2)
  })

  test('during the request for the form', async () => {
    signer.next('stall')
    const app = uploader('free')
    const cancel = createCancel()
    const one = failureOf(app.upload(photo(), { signal: cancel.signal }))
    const other = app.upload(photo())
    await waitUntil(() => signer.stalled() === 1)
    cancel.abort()
    assert.equal((await one).code, 'cancelled')
    signer.resume()
    await other
    assert.deepEqual([device.forms(), device.sends()], [1, 1])
  })

  test('during the upload, which frees its slot', async () => {
    oss.next('stall')
    const app = uploader('free', { concurrency: 1 })
    const cancel = createCancel()
    const path = photo()
    const one = failureOf(app.upload(path, { signal: cancel.signal }))
    const other = app.upload(photo())
    await waitUntil(() => oss.stalled() === 1)
    cancel.abort()
    cancel.abort()
    const error = await one
    assert.equal(error.code, 'cancelled')
    await waitUntil(() => oss.stalled() === 0) // the connection is closed
    await other
    const again = await app.upload(path, { retryOf: error })
    assert.equal(again.key, error.key)
  })

  test('before a retry', async () => {
    oss.next('reset')
    const cancel = createCancel()
    const app = uploader('free', { retryDelayMs: 60_000 })
    const onState = (state) => state === 'waiting' && setTimeout(cancel.abort)
    assert.equal((await failureOf(app.upload(photo(), { signal: cancel.signal, onState }))).code, 'cancelled')
    assert.equal(device.sends(), 1)
  })

  test('at the start of the upload', async () => {
    const cancel = createCancel()
    const onState = (state) => state === 'uploading' && cancel.abort()
    assert.equal((await failureOf(uploader('free').upload(photo(), { signal: cancel.signal, onState }))).code, 'cancelled')
    assert.equal(device.sends(), 0)
  })

  test('abort() cancels all files', async () => {
    oss.next('stall', 'stall')
    const app = uploader('free', { concurrency: 2 })
    const all = [photo(), photo(), photo()].map((path) => failureOf(app.upload(path)))
    await waitUntil(() => oss.stalled() === 2)
    app.abort()
    assert.deepEqual((await Promise.all(all)).map((each) => each.code), ['cancelled', 'cancelled', 'cancelled'])
    await app.upload(photo())
  })

  test('after the end changes nothing, and no listener is left', async () => {
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

  test('of one file never decreases, and is 100 only when the file is stored', async () => {
    device = disturbedPhone()
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

  test('of all files never decreases, whatever their outcomes', async () => {
    device = disturbedPhone()
    oss.next('half', 'lose', { response: raw(403, ossError('AccessDenied', 'no')) })
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

  test('of a failed file never reaches 100', async () => {
    const seen = []
    await failureOf(uploader('nowhere').upload(photo(), { onProgress: (progress) => seen.push(progress.percent) }))
    assert.ok(!seen.includes(100))
  })
})
