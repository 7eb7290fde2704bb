// Uploads in parts, in a mini-program, with a stub of the signer and of OSS.
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { createCancel, createPause, createUploader } from '../../miniprogram/upload/src/wx-multipart.mjs'
import { PART_BYTES, createStub } from './multipart_stub.mjs'
import { CHINESE, contentOf, failureOf, ossError, phone, photo, retryQuickly, waitUntil } from './setup.mjs'

const SIZE = 10 * PART_BYTES + 123
let stub
let device
beforeEach(async () => {
  stub = await createStub()
  device = phone()
})
afterEach(() => stub.close())

const uploader = (options = {}) =>
  createUploader({ endpoint: stub.url, appId: 'videos', multipartThreshold: 5000, ...retryQuickly, ...options })
const video = (size = SIZE) => photo(undefined, size)
const records = () => [...device.storage.keys()].filter((key) => key.startsWith('oss-signer:'))
const expired = [403, ossError('AccessDenied', 'Request has expired.')]
const refused = (status, code) => [status, ossError(code, 'no')]

/** Wait until as many parts stall as are sent at the same time, and return their number. */
const stalling = async () => {
  const before = stub.held()
  let running = 0
  await waitUntil(async () => {
    running = device.requests.running
    const held = stub.held()
    await new Promise((resolve) => setTimeout(resolve, 40))
    return held > before && held === stub.held() && held - before === running && running === device.requests.running
  })
  stub.unplan('put')
  return running
}

describe('a large file', () => {
  test('is stored in parts', async () => {
    const path = video()
    const result = await uploader().upload(path, { filename: 'a.mp4', vars: { order: '1' }, meta: { a: 'b' } })
    assert.deepEqual([...stub.objects], [[result.key, contentOf(path)]])
    assert.deepEqual(result, { key: result.key, url: `${stub.url}/bucket/${result.key}`, etag: 'E-2', status: 200, body: '' })
    const [start] = stub.partsOf('start')
    assert.deepEqual(start, { filename: 'a.mp4', size: SIZE, vars: { order: '1' }, meta: { a: 'b' } })
    assert.deepEqual(stub.sent().sort((a, b) => a - b), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
    const [complete] = stub.partsOf('complete')
    assert.deepEqual(complete.parts.map((part) => part.part_number), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
    assert.ok(stub.requests.filter((each) => each.what === 'put').every((each) => each.headers['content-type'] === 'application/octet-stream'))
    assert.deepEqual(records(), [])
  })

  test('of exactly the threshold too, and a smaller one as a form', async () => {
    await uploader().upload(video(5000))
    assert.equal(stub.count('start'), 1)
    await failureOf(uploader({ retries: 0 }).upload(video(4999)))
    assert.deepEqual([stub.count('form'), stub.count('start')], [1, 1])
  })

  test('is sent as a form if the app has no multipart, and the next one too', async () => {
    for (const [status, code] of [[403, 'forbidden'], [404, 'not_found']]) {
      stub.plan('start', [status, { code, title: 'No' }])
      stub.requests.length = 0
      const app = uploader({ retries: 0 })
      for (const path of [video(), video()]) await failureOf(app.upload(path))
      assert.deepEqual(stub.requests.map(({ what }) => what), ['start', 'form', 'form'])
    }
  })

  test('has the threshold of the app, once a form has shown it', async () => {
    const app = uploader({ multipartThreshold: undefined, retries: 0 })
    const form = { fields: { 'x-oss-date': '20300101T000000Z' }, url: `${stub.url}/none`, file_field: 'file', key: 'k' }
    const uploads = [{ ...form, multipart_threshold: 8000, expires_at: '2030-01-01T00:15:00Z', max_size: 1e6 }]
    stub.plan('form', [200, { uploads }])
    await failureOf(app.upload(video()))
    assert.deepEqual([stub.count('form'), stub.count('start')], [1, 0])
    await app.upload(video(8000))
    await failureOf(app.upload(video(7999)))
    assert.deepEqual([stub.count('form'), stub.count('start')], [2, 1])
  })

  test('that is too large for a form is sent in parts, whatever the threshold', async () => {
    const tooLarge = [413, { code: 'too_large', title: 'Too large' }]
    const app = uploader({ multipartThreshold: undefined })
    stub.plan('form', tooLarge)
    await app.upload(video())
    assert.deepEqual([stub.count('form'), stub.count('start')], [1, 1])
    stub.plan('form', tooLarge)
    stub.plan('start', [404, { code: 'not_found' }])
    assert.equal((await failureOf(app.upload(video()))).code, 'too_large')
  })

  test('is stored whole if the app gives a wrong size', async () => {
    for (const size of [SIZE - 1, SIZE + 1]) {
      const path = video()
      const { key } = await uploader().upload(path, { size })
      assert.deepEqual(stub.objects.get(key), contentOf(path))
    }
  })

  test('is sent as a form if the phone reads whole files only', async () => {
    device = phone({ readsSlices: false })
    await failureOf(uploader({ retries: 0 }).upload(video()))
    assert.deepEqual(stub.requests.map(({ what }) => what), ['form'])
  })

  test('that the signer refuses fails with its code', async () => {
    stub.plan('start', [413, { code: 'too_large', title: 'Too large' }])
    const error = await failureOf(uploader().upload(video()))
    assert.deepEqual([error.code, error.status, error.retryable], ['too_large', 413, false])
    assert.match(error.message, CHINESE)
  })

  test('is completed without a list of parts if the phone hides ETags', async () => {
    stub.etags = false
    const path = video()
    const { key } = await uploader().upload(path)
    assert.equal(stub.partsOf('complete')[0].parts, undefined)
    assert.deepEqual(stub.objects.get(key), contentOf(path))
  })

  test('has signatures for at most 50 parts in one request', async () => {
    const path = video(130 * PART_BYTES)
    await uploader().upload(path)
    assert.deepEqual(stub.partsOf('parts').map((each) => each.part_numbers.length), [50, 50, 27])
    assert.equal(stub.sent().length, 130)
  })
})

describe('parts at the same time', () => {
  test('are four at most, also of several files, and each is read when it is sent', async () => {
    const app = uploader()
    await app.upload(video())
    stub.plan('put', ...Array(20).fill('stall'))
    const reads = () => device.calls.filter((each) => each.api === 'readFile' && each.length > 1).length
    const before = reads()
    const all = Promise.all([video(30_000), video(30_000), video(30_000)].map((path) => app.upload(path)))
    const sending = await stalling()
    assert.ok(sending <= 4)
    assert.equal(reads() - before, sending)
    stub.release()
    await all
  })
})

describe('a bad connection', () => {
  test('costs only the parts on the way', async () => {
    stub.plan('put', undefined, 'reset', undefined, 'lose', [503, ossError('ServerBusy', 'busy')], undefined, 'reset')
    const path = video()
    const states = []
    const { key } = await uploader().upload(path, { onState: (state, about) => states.push([state, about && about.code]) })
    assert.deepEqual(stub.objects.get(key), contentOf(path))
    assert.equal(stub.sent().length, 11 + 4)
    assert.equal(stub.count('start'), 1)
    assert.deepEqual(states.slice(0, 3), [['queued', undefined], ['signing', undefined], ['uploading', undefined]])
  })

  test('between phone and signer is retried at each step', async () => {
    for (const step of ['start', 'parts', 'complete']) stub.plan(step, 'reset', [502, '<html>'], 'lose')
    const path = video()
    const { key } = await uploader().upload(path)
    assert.deepEqual([...stub.objects.keys()], [key])
    assert.deepEqual(stub.objects.get(key), contentOf(path))
  })

  test('that stalls ends at the time limit', async () => {
    stub.plan('put', 'stall')
    await uploader({ timeoutMs: 100 }).upload(video())
    assert.equal(stub.sent().length, 12)
  })

  test('that stays broken fails, and retryOf continues', async () => {
    stub.plan('put', undefined, undefined, ...Array(4).fill('reset'))
    const app = uploader({ retries: 0 })
    const path = video()
    const error = await failureOf(app.upload(path))
    assert.deepEqual([error.code, error.retryable], ['network', true])
    assert.match(error.key, /^videos\/u1-/)
    await waitUntil(() => stub.uploads.get('u1').parts.size >= 2)
    stub.unplan('put')
    const stored = stub.uploads.get('u1').parts.size
    const before = stub.sent().length
    const { key } = await uploader().upload(path, { retryOf: error })
    assert.equal(key, error.key)
    assert.ok(stub.sent().length - before <= 11 - stored)
    assert.equal(stub.count('start'), 1)
    assert.deepEqual(stub.objects.get(key), contentOf(path))
    assert.equal(stub.count('abort'), 0)
  })

  test('leaves the events of one upload in order', async () => {
    stub.plan('put', 'reset', 'reset')
    const events = []
    await uploader().upload(video(5000), { onPart: ({ number, count, state }) => events.push([number, count, state]) })
    assert.ok(events.every(([, count]) => count === 5))
    for (const number of [1, 2, 3, 4, 5]) {
      const own = events.filter(([each]) => each === number).map(([, , state]) => state)
      assert.equal(own.at(-1), 'stored')
      assert.deepEqual(own.slice(0, -1).filter((state, at) => state !== (at % 2 ? 'waiting' : 'sending')), [])
    }
  })
})

describe('signatures', () => {
  test('that have expired are replaced, those of the same token too', async () => {
    stub.signed = 11
    stub.plan('put', undefined, undefined, expired, expired)
    const path = video()
    const { key } = await uploader({ retries: 0 }).upload(path)
    assert.deepEqual(stub.objects.get(key), contentOf(path))
    assert.ok(stub.sent().length <= 13 + 2)
    assert.ok(stub.count('parts') >= 1)
  })

  test('of a revoked token are replaced, even if the signer notices late', async () => {
    const revoked = [403, ossError('InvalidAccessKeyId', 'no such key')]
    stub.plan('put', ...Array(6).fill(revoked))
    const path = video()
    const { key } = await uploader().upload(path)
    assert.deepEqual(stub.objects.get(key), contentOf(path))
    stub.plan('put', ...Array(99).fill(revoked))
    const error = await failureOf(uploader({ retries: 2 }).upload(video()))
    assert.deepEqual([error.code, error.ossCode, error.retryable], ['expired', 'InvalidAccessKeyId', true])
  })

  test('that have expired by elapsed time are not used', async () => {
    stub.signed = 11
    const now = Date.now
    try {
      const onPart = ({ state }) => state === 'stored' && (Date.now = () => now() + 15 * 60_000)
      await uploader().upload(video(), { onPart })
    } finally {
      Date.now = now
    }
    assert.equal(stub.count('parts'), 1)
  })

  test('that are missing in a response are an error', async () => {
    stub.signed = 0
    stub.plan('parts', ...Array(9).fill([200, { parts: [] }]))
    assert.equal((await failureOf(uploader({ retries: 1 }).upload(video()))).code, 'server')
  })
})

describe('after a restart', () => {
  /** A mini-program whose upload never ends, and the same phone after a restart. */
  const restart = async (path, options) => {
    stub.plan('put', undefined, undefined, undefined, ...Array(9).fill('stall'))
    const first = device
    void uploader().upload(path, options).catch(() => {})
    await stalling()
    device = phone()
    for (const [key, value] of first.storage) device.storage.set(key, value)
    stub.requests.length = 0
  }

  test('only the missing parts are sent', async () => {
    const path = video()
    await restart(path)
    const stored = stub.uploads.get('u1').parts.size
    const seen = []
    const { key } = await uploader().upload(path, { onProgress: ({ loaded }) => seen.push(loaded) })
    assert.deepEqual([stub.count('list'), stub.count('start'), stub.sent().length], [1, 0, 11 - stored])
    assert.deepEqual(stub.objects.get(key), contentOf(path))
    assert.ok(seen[0] >= PART_BYTES)
    assert.deepEqual(records(), [])
  })

  test('another file, type, variable or app starts again', async () => {
    const path = video()
    await restart(path, { vars: { order: '1' } })
    await uploader().upload(path, { vars: { order: '2' } })
    await uploader().upload(path, { vars: { order: '1' }, filename: 'other.mp4' })
    await uploader({ appId: 'other' }).upload(path, { vars: { order: '1' } })
    assert.deepEqual([stub.count('start'), stub.count('list')], [3, 0])
    await uploader().upload(path, { vars: { order: '1' } })
    assert.deepEqual([stub.count('start'), stub.count('list')], [3, 1])
  })

  test('a record that the signer refuses is dropped', async () => {
    for (const [status, code] of [[409, 'upload_gone'], [403, 'forbidden'], [404, 'not_found'], [400, 'invalid_request']]) {
      const path = video()
      await restart(path)
      stub.plan('list', [status, { code }])
      if (code === 'upload_gone') stub.uploads.clear()
      const { key } = await uploader().upload(path)
      assert.deepEqual(stub.objects.get(key), contentOf(path))
      assert.equal(stub.count('start'), 1)
      assert.deepEqual(records(), [])
      stub.uploads.clear()
    }
  })

  test('a record is kept while the signer does not respond', async () => {
    const path = video()
    await restart(path)
    stub.plan('list', ...Array(3).fill('reset'))
    assert.equal((await failureOf(uploader({ retries: 2 }).upload(path))).code, 'network')
    assert.equal(records().length, 1)
    await uploader().upload(path)
    assert.equal(stub.count('start'), 0)
  })

  test('a part that was stored with another size is sent again', async () => {
    const path = video()
    await restart(path)
    stub.uploads.get('u1').parts.set(1, Buffer.from('short'))
    const { key } = await uploader().upload(path)
    assert.ok(stub.sent().includes(1))
    assert.deepEqual(stub.objects.get(key), contentOf(path))
  })

  test('an upload that was completed before is reported, not repeated', async () => {
    const path = video()
    stub.plan('complete', 'lose', 'reset', 'reset')
    const error = await failureOf(uploader({ retries: 2 }).upload(path))
    assert.equal(error.code, 'network')
    const { key } = await uploader().upload(path)
    assert.equal(key, error.key)
    assert.deepEqual([stub.objects.size, stub.count('start')], [1, 1])
  })

  test('old records of other files are removed', async () => {
    device.wx.setStorageSync('oss-signer:old', { upload: 'x', expires_at: '2020-01-01T00:00:00Z' })
    device.wx.setStorageSync('oss-signer:not a record', 7)
    device.wx.setStorageSync('oss-signer:new', { upload: 'x', expires_at: '2999-01-01T00:00:00Z' })
    device.wx.setStorageSync('of the app', 1)
    await uploader().upload(video())
    assert.deepEqual([...device.storage.keys()].sort(), ['of the app', 'oss-signer:new'])
  })

  test('a blocked storage costs only the continuation', async () => {
    device.wx.getStorageSync = device.wx.getStorageInfoSync = () => {
      throw new Error('fail')
    }
    device.wx.setStorage = ({ fail }) => fail({ errMsg: 'setStorage:fail' })
    stub.plan('put', undefined, undefined, ...Array(4).fill('reset'))
    const app = uploader({ retries: 0 })
    const path = video()
    await failureOf(app.upload(path))
    stub.unplan('put')
    await app.upload(path)
    assert.equal(stub.count('start'), 1)
    await uploader().upload(path)
    assert.equal(stub.count('start'), 2)
  })
})

describe('an upload that no longer exists', () => {
  test('starts again, once', async () => {
    const path = video()
    stub.plan('put', undefined, [404, ossError('NoSuchUpload', 'no')])
    stub.plan('complete', [409, { code: 'upload_gone' }])
    const { key } = await uploader().upload(path)
    assert.deepEqual(stub.objects.get(key), contentOf(path))
    assert.equal(stub.count('start'), 2)
    stub.plan('put', ...Array(20).fill([404, ossError('NoSuchUpload', 'no')]))
    stub.plan('complete', ...Array(9).fill([409, { code: 'upload_gone' }]))
    const error = await failureOf(uploader().upload(video()))
    assert.deepEqual([error.code, error.status], ['upload_gone', 404])
    assert.match(error.message, CHINESE)
  })

  test('because another page has completed it, is a success', async () => {
    stub.plan('put', ...Array(10).fill(undefined), 'stall')
    const path = video()
    const upload = uploader().upload(path)
    await waitUntil(() => stub.held() === 1)
    const first = stub.uploads.get('u1')
    for (let number = 1; number <= 11; number += 1) {
      first.parts.set(number, contentOf(path).subarray((number - 1) * PART_BYTES, number * PART_BYTES))
    }
    await fetch(`${stub.url}/v1/apps/videos/multipart/complete`, { method: 'POST', body: JSON.stringify({ upload: 'u1' }) })
    stub.release()
    const { key } = await upload
    assert.deepEqual([key, stub.objects.size, stub.count('start')], [first.key, 1, 1])
  })
})

describe('complete', () => {
  const outcome = async (...responses) => {
    stub.plan('complete', ...responses)
    const path = video()
    const result = await uploader().upload(path)
    stub.unplan('complete')
    return result
  }
  const content = { key: 'k', url: 'u', etag: '"E"' }

  test('returns the response to the callback, and 203 if the callback failed', async () => {
    const good = await outcome([200, { ...content, callback: { id: 7 } }])
    assert.deepEqual([good.status, JSON.parse(good.body), good.etag], [200, { id: 7 }, 'E'])
    const bad = await outcome([200, { ...content, callback: null }])
    assert.deepEqual([bad.status, bad.body], [203, 'null'])
  })

  test('sends parts again that the signer misses, once', async () => {
    const mismatch = [409, { code: 'parts_mismatch', title: 'Parts mismatch' }]
    await outcome(mismatch)
    assert.deepEqual([stub.count('list'), stub.count('start')], [1, 1])
    const error = await failureOf(outcome(mismatch, mismatch))
    assert.deepEqual([error.code, error.status], ['parts_mismatch', 409])
  })

  test('fails if an object with this key exists', async () => {
    const error = await failureOf(outcome([409, { code: 'already_exists', title: 'Exists' }]))
    assert.deepEqual([error.code, error.message], ['exists', '同名文件已存在'])
  })
})

describe('the same file twice at the same time', () => {
  test('is two uploads that do not disturb each other', async () => {
    const app = uploader()
    const path = video()
    stub.plan('put', undefined, undefined, 'stall')
    const first = app.upload(path)
    await waitUntil(() => stub.held() === 1)
    const two = await app.upload(path)
    stub.release()
    const one = await first
    assert.notEqual(one.key, two.key)
    for (const { key } of [one, two]) assert.deepEqual(stub.objects.get(key), contentOf(path))
    assert.deepEqual(records(), [])
  })
})

describe('pause', () => {
  /** Give the library time for a request that it must not send. */
  const passTime = async () => {
    for (let round = 0; round < 5; round += 1) await fetch(`${stub.url}/none`)
  }

  test('ends the requests on the way, and resume sends them again', async () => {
    stub.plan('put', undefined, undefined, ...Array(8).fill('stall'))
    const pause = createPause()
    const states = []
    const path = video()
    const upload = uploader().upload(path, { pause, onState: (state) => states.push(state) })
    await stalling()
    pause.pause()
    pause.pause()
    assert.equal(states.at(-1), 'paused')
    await waitUntil(() => device.requests.running === 0)
    const before = device.calls.length
    await passTime()
    assert.equal(device.calls.length, before)
    pause.resume()
    const { key } = await upload
    assert.deepEqual(stub.objects.get(key), contentOf(path))
    assert.equal(stub.count('start'), 1)
    assert.deepEqual(states.slice(-2), ['paused', 'uploading'])
  })

  test('before the start, and several times', async () => {
    const pause = createPause()
    pause.pause()
    const upload = uploader().upload(video(), {
      pause,
      onPart: ({ number, state }) => {
        if (state !== 'stored' || number % 3) return
        pause.pause()
        setTimeout(pause.resume)
      },
    })
    await passTime()
    assert.equal(stub.count('start'), 0)
    pause.resume()
    await upload
    assert.equal(stub.objects.size, 1)
  })

  test('may end in the report of its state', async () => {
    const pause = createPause()
    const onState = (state) => state === 'paused' && pause.resume()
    const onPart = ({ number, state }) => state === 'sending' && number % 3 === 0 && pause.pause()
    await uploader().upload(video(), { pause, onState, onPart })
    assert.equal(stub.objects.size, 1)
  })

  test('then cancel', async () => {
    stub.plan('put', undefined, 'stall')
    const [pause, cancel] = [createPause(), createCancel()]
    const upload = failureOf(uploader().upload(video(), { pause, signal: cancel.signal }))
    await waitUntil(() => stub.held() === 1)
    pause.pause()
    cancel.abort()
    assert.equal((await upload).code, 'cancelled')
    await waitUntil(() => stub.uploads.size === 0)
  })
})

describe('cancelling', () => {
  test('ends the requests, and removes the parts and the record', async () => {
    stub.plan('put', undefined, undefined, 'stall', 'stall')
    const app = uploader()
    const upload = failureOf(app.upload(video()))
    await waitUntil(() => stub.held() === 2)
    assert.equal(records().length, 1)
    app.abort()
    const error = await upload
    assert.deepEqual([error.code, error.retryable], ['cancelled', true])
    await waitUntil(() => stub.uploads.size === 0 && device.requests.running === 0)
    assert.deepEqual(records(), [])
    await app.upload(video())
  })

  test('while the last part is read, ends the upload', async () => {
    const cancel = createCancel()
    const { readFile } = device.fileSystem
    device.fileSystem.readFile = (options) => {
      if (options.length > 1) cancel.abort()
      setTimeout(readFile, 0, options)
    }
    const upload = uploader({ multipartThreshold: 1 }).upload(video(PART_BYTES), { signal: cancel.signal })
    assert.equal((await failureOf(upload)).code, 'cancelled')
    await waitUntil(() => stub.count('abort') === 1)
    assert.equal(stub.count('put'), 0)
  })

  test('during the start, aborts the upload when it has started', async () => {
    stub.plan('start', 'stall')
    const cancel = createCancel()
    const upload = failureOf(uploader().upload(video(), { signal: cancel.signal }))
    await waitUntil(() => stub.held() === 1)
    cancel.abort()
    assert.equal((await upload).code, 'cancelled')
    stub.release()
    await waitUntil(() => stub.count('abort') === 1)
    assert.deepEqual([stub.uploads.size, records()], [0, []])
  })

  test('leaves places on the line for other files', async () => {
    stub.plan('put', 'stall', 'stall')
    const app = uploader()
    const cancel = createCancel()
    const first = failureOf(app.upload(video(), { signal: cancel.signal }))
    await waitUntil(() => stub.held() === 2)
    const second = app.upload(video())
    cancel.abort()
    await first
    await second
  })

  test('a refusal of OSS and a file that cannot be read remove the parts too', async () => {
    stub.plan('put', undefined, refused(400, 'InvalidArgument'))
    const error = await failureOf(uploader().upload(video()))
    assert.deepEqual([error.code, error.ossCode], ['refused', 'InvalidArgument'])
    await waitUntil(() => stub.uploads.size === 0)
    const { readFile } = device.fileSystem
    device.fileSystem.readFile = (options) => readFile({ ...options, length: options.position ? 1 : options.length })
    assert.equal((await failureOf(uploader().upload(video()))).code, 'file')
    await waitUntil(() => stub.uploads.size === 0)
    assert.deepEqual(records(), [])
  })

  test('a user who has to log in again, or whose permission is fixed, keeps the parts', async () => {
    for (const [step, response] of [['complete', [401, { code: 'unauthenticated' }]], ['put', refused(403, 'AccessDenied')]]) {
      stub.plan(step, response, response)
      const path = video()
      const error = await failureOf(uploader({ login: false }).upload(path))
      assert.deepEqual([error.status, error.retryable], [response[0], false])
      const before = stub.count('start')
      stub.unplan(step)
      await uploader().upload(path)
      assert.equal(stub.count('start'), before)
    }
    assert.equal(stub.count('abort'), 0)
  })
})

describe('progress', () => {
  test('never decreases, and is 100 only when the file is stored', async () => {
    stub.plan('put', undefined, 'reset', undefined, 'lose', 'reset', undefined, [404, ossError('NoSuchUpload', 'no')])
    stub.plan('complete', [409, { code: 'upload_gone' }])
    const seen = []
    const total = []
    const app = uploader({ onProgress: ({ loaded }) => total.push(loaded) })
    await app.upload(video(), { onProgress: (progress) => seen.push(progress) })
    for (const values of [seen.map(({ loaded }) => loaded), total]) {
      assert.deepEqual(values, [...values].sort((a, b) => a - b))
    }
    assert.deepEqual(seen.at(-1), { loaded: SIZE, total: SIZE, percent: 100 })
    assert.equal(seen.filter(({ percent }) => percent === 100).length, 1)
  })
})
