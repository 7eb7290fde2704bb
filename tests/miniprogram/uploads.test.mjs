// One file from its path to the bucket, forms, and many files at once, in a mini-program.
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { disturbedPhone, oss, signer, uploader } from './connections.mjs'
import { CHINESE, contentOf, download, failureOf, objects, OSS, phone, photo, waitUntil } from './setup.mjs'

let device
beforeEach(() => {
  device = phone()
})

describe('one file', () => {
  test('is stored below the prefix and available at its url', async () => {
    const path = photo()
    const result = await uploader('free').upload(path)
    assert.match(result.key, /^free\/[0-9a-z]{12,}\.jpg$/)
    assert.deepEqual(await download(result.url), contentOf(path))
    assert.equal(result.status, 200)
    const [object] = (await objects('free/')).filter((each) => each.key === result.key)
    assert.equal(object.content_type, 'image/jpeg')
  })

  test('keeps a readable name without characters that are special in keys', async () => {
    const result = await uploader('free').upload(photo(), { filename: 'a/b\\$ 我的照片?*\u202e #1.jpg' })
    assert.match(result.key, /^free\/[0-9a-z]{12,}-a_b__+我的照片_+1\.jpg$/)
    assert.ok((await download(result.url)).length)
    const long = await uploader('free').upload(photo(), { filename: `${'长'.repeat(400)}.jpg` })
    assert.match(long.key, /长{76}\.jpg$/)
  })

  test('is stored under the key that the signer chooses', async () => {
    const exact = await uploader('exact').upload(photo())
    assert.match(exact.key, /^exact\/[0-9a-f]{32}\.jpg$/)
    const named = await uploader('named').upload(photo(), { filename: '海边 1#.jpg' })
    assert.equal(named.key, 'named/海边 1#.jpg')
    assert.ok((await download(named.url)).length)
  })

  test('has the given type, or the one of its extension', async () => {
    const app = uploader('typed')
    const uploaded = await app.upload(photo('no-extension'), { contentType: 'image/png' })
    const guessed = await app.upload(photo('picture.png'))
    const types = Object.fromEntries((await objects('typed/')).map((each) => [each.key, each.content_type]))
    assert.equal(types[uploaded.key], 'image/png')
    assert.equal(types[guessed.key], 'image/png')
    assert.match(uploaded.key, /^typed\/\w+$/)
  })
})

describe('the type of a path', () => {
  const storedType = async (app, name) => {
    const { key } = await uploader(app).upload(photo(name))
    return (await objects(`${app}/`)).find((each) => each.key === key).content_type
  }

  test('is that of its extension, also where the app accepts certain types only', async () => {
    assert.equal(await storedType('pictures', 'tmp_1.webp'), 'image/webp')
    assert.equal(await storedType('pictures', 'tmp_1.HEIC'), 'image/heic')
    const word = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document'
    const types = { 'a.m4a': 'audio/mp4', 'a.amr': 'audio/amr', 'a.docx': word, 'a.jpeg': 'image/jpeg', 'photo.jpg.gz': 'application/gzip' }
    for (const [name, type] of Object.entries(types)) assert.equal(await storedType('free', name), type)
  })

  test('is left to the phone if the extension is unknown or missing, or the type could run scripts', async () => {
    for (const name of ['a.unknown', 'jpg', 'a.', 'a.p(g', 'a.undefined', 'a.html']) {
      assert.equal(await storedType('free', name), 'application/octet-stream')
    }
  })
})

describe('responses of OSS', () => {
  const sent = async (app, options) => {
    phone(options)
    const result = await uploader(app).upload(photo())
    const [object] = (await objects(`${app}/`)).filter((each) => each.key === result.key)
    return { ...result, real: object.etag.replaceAll('"', '') }
  }

  test('the etag is read from headers in any case, early or late, or from XML, or is missing', async () => {
    const late = { emitsHeaders: false, headersWithUpload: true }
    for (const options of [{}, late, { cased: (name) => name.toLowerCase() }, { cased: (name) => name.toUpperCase() }]) {
      const { etag, real } = await sent('free', options)
      assert.equal(etag, real)
    }
    const deaf = { emitsHeaders: false }
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

  test('with a callback, the body is the response of the app’s own server', async () => {
    const result = await uploader('notified').upload(photo(), { vars: { order: '42' } })
    assert.equal(result.status, 200)
    assert.deepEqual(JSON.parse(result.body), { seen: result.key, order: '42' })
  })

  test('203: the file is stored, and only the callback failed', async () => {
    const result = await uploader('unnotified').upload(photo(), { vars: { order: '42' } })
    assert.equal(result.status, 203)
    assert.match(result.body, /CallbackFailed/)
    assert.ok((await download(result.url)).length)
    assert.equal(device.sends(), 1)
  })
})

describe('forms', () => {
  test('a form with a prefix is used for many files, each under its own key', async () => {
    const app = uploader('free')
    const results = await Promise.all(Array.from({ length: 12 }, () => app.upload(photo())))
    assert.equal(new Set(results.map((each) => each.key)).size, 12)
    assert.equal(device.forms(), 1)
    await app.upload(photo())
    assert.equal(device.forms(), 1)
  })

  test('a form with an exact key is used for one file', async () => {
    const app = uploader('exact')
    const results = await Promise.all(Array.from({ length: 6 }, () => app.upload(photo())))
    assert.equal(new Set(results.map((each) => each.key)).size, 6)
    assert.equal(device.forms(), 2) // the first form shows that the app names the objects
  })

  test('files chosen together get their forms in one request, each under its own key', async () => {
    const app = uploader('exact')
    await app.upload(photo())
    const before = device.forms()
    const paths = Array.from({ length: 9 }, () => photo())
    const results = await Promise.all(paths.map((path) => app.upload(path)))
    assert.equal(device.forms(), before + 1)
    for (const [index, { url }] of results.entries()) assert.deepEqual(await download(url), contentOf(paths[index]))
  })

  test('many files get their forms in few requests, and the last ones when it is their turn', async () => {
    const app = uploader('exact', { concurrency: 10 })
    await app.upload(photo())
    const before = device.forms()
    const results = await Promise.all(Array.from({ length: 60 }, () => app.upload(photo())))
    assert.equal(new Set(results.map((each) => each.key)).size, 60)
    assert.ok(device.forms() - before <= 31)
  })

  test('the rejection of one file of a request is its own', async () => {
    const app = uploader('exact')
    await app.upload(photo())
    const before = device.forms()
    const large = failureOf(app.upload(photo(), { size: 2 ** 30 }))
    const wrong = failureOf(app.upload(photo(), { meta: { unknown: '1' } }))
    const good = app.upload(photo())
    const [first, second, { key }] = await Promise.all([large, wrong, good])
    assert.deepEqual([first.code, first.status], ['too_large', 413])
    assert.deepEqual([second.code, second.status], ['invalid_request', 400])
    assert.match(first.requestId, /^\w{8,}/)
    assert.match(key, /^exact\//)
    assert.equal(device.forms(), before + 1)
  })

  test('another type or other vars need another form', async () => {
    const app = uploader('notified')
    const vars = { order: '1' }
    await app.upload(photo(), { vars })
    await app.upload(photo(), { vars })
    assert.equal(device.forms(), 1)
    const other = await app.upload(photo(), { vars: { order: '2' } })
    assert.equal(JSON.parse(other.body).order, '2')
    await app.upload(photo(), { vars, contentType: 'image/gif' })
    assert.equal(device.forms(), 3)
  })

  test('the rejection of one file does not fail the others', async () => {
    const app = uploader('free')
    const large = failureOf(app.upload(photo(), { size: 2 ** 30 }))
    const small = app.upload(photo())
    assert.equal((await large).code, 'too_large')
    assert.match((await small).key, /^free\//)
  })

  test('a form is reused for its lifetime by elapsed time, whatever the clock shows', async () => {
    const now = Date.now
    const set = (ms) => (Date.now = () => now() + ms)
    const minute = 60_000
    try {
      set(-5 * 365 * 24 * 60 * minute) // five years slow from the start
      const app = uploader('free')
      await app.upload(photo())
      assert.equal(device.forms(), 1)
      set(-6 * 365 * 24 * 60 * minute) // set back
      await app.upload(photo())
      assert.equal(device.forms(), 1)
      set(-6 * 365 * 24 * 60 * minute + 12 * minute) // twelve of its fifteen minutes later
      await app.upload(photo())
      assert.equal(device.forms(), 1)
      set(-6 * 365 * 24 * 60 * minute + 14.5 * minute)
      await app.upload(photo())
      assert.equal(device.forms(), 2)
    } finally {
      Date.now = now
    }
    assert.equal(device.sends(), 4)
  })
})

describe('before anything is sent', () => {
  test('a too large file is rejected by the signer, or by a cached form', async () => {
    const app = uploader('free')
    const refused = await failureOf(app.upload(photo(), { size: 2 ** 20 + 1 }))
    assert.deepEqual([refused.code, refused.status, refused.retryable], ['too_large', 413, false])
    assert.match(refused.detail, /1048577 bytes/)
    assert.match(refused.requestId, /^\w{8,}/)
    await app.upload(photo())
    const known = await failureOf(app.upload(photo('large.jpg', 2 ** 20 + 1)))
    assert.deepEqual([known.code, known.message, known.retryable], ['too_large', '文件太大，不能超过 1.0 MB', false])
    assert.equal(device.forms(), 2)
    assert.equal(device.sends(), 1)
  })

  test('a type that the app does not accept is rejected', async () => {
    const error = await failureOf(uploader('typed').upload(photo('a.gif')))
    assert.deepEqual([error.code, error.status, error.retryable], ['unsupported_type', 415, false])
    assert.match(error.message, CHINESE)
    assert.match(error.detail, /; this app allows image\/png/)
    assert.equal(device.sends(), 0)
  })

  test('an empty file is rejected by the signer, even with a cached form', async () => {
    const app = uploader('free')
    await app.upload(photo())
    const error = await failureOf(app.upload(photo('empty.jpg', 0)))
    assert.equal(error.code, 'invalid_request')
    assert.match(error.message, CHINESE)
    assert.equal(device.sends(), 1)
  })

  test('a missing file is reported', async () => {
    const error = await failureOf(uploader('free').upload('wxfile://gone.jpg'))
    assert.deepEqual([error.code, error.retryable], ['file', false])
    assert.match(error.detail, /no such file/)
    assert.equal(device.forms(), 0)
    const later = await failureOf(uploader('free').upload('wxfile://gone.jpg', { size: 10 }))
    assert.deepEqual([later.code, later.detail], ['file', 'uploadFile:fail file not found'])
    assert.equal(device.sends(), 1)
  })

  test('a disabled app and an unknown app are reported', async () => {
    assert.equal((await failureOf(uploader('off').upload(photo()))).code, 'app_disabled')
    const unknown = await failureOf(uploader('nobody').upload(photo()))
    assert.equal(unknown.code, 'unknown_app')
    assert.match(unknown.message, CHINESE)
    assert.equal(device.forms(), 2)
  })
})

describe('many at once', () => {
  test('four by default', async () => {
    for (const [concurrency, max] of [[undefined, 4], [1, 1], [3, 3]]) {
      device = phone()
      const app = uploader('free', { concurrency })
      await Promise.all(Array.from({ length: 9 }, () => app.upload(photo())))
      assert.equal(device.uploads.max, max)
    }
  })

  test('never more than wx allows', async () => {
    device = disturbedPhone()
    oss.next(...Array(10).fill('stall'))
    const app = uploader('free', { concurrency: 99 })
    const all = Promise.all(Array.from({ length: 14 }, () => app.upload(photo())))
    await waitUntil(() => oss.stalled() === 10)
    assert.equal(device.sends(), 10)
    oss.resume()
    await all
    assert.equal(device.sends(), 14)
  })
})
