// Other platforms than WeChat, and other input than paths; the built files in contexts with the globals of each platform.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import vm from 'node:vm'
import { createUploader } from '../../miniprogram/upload/src/wx.mjs'
import { createStub } from './multipart_stub.mjs'
import { FILES, OSS, SIGNER, contentOf, download, failureOf, objects, phone, photo, waitUntil, wechatCode } from './setup.mjs'

const { createMy, createTt } = createRequire(import.meta.url)('./other_platforms.js')
const photos = join(FILES, 'photos')
const PNG = Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), randomBytes(3000)])
const dataUrl = `data:image/png;base64,${PNG.toString('base64')}`
const buffer = (bytes) => bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)

/** Load a built file with the globals of a platform. */
function load(name, globals) {
  const exports = {}
  const context = vm.createContext({ ...globals, exports, setTimeout, clearTimeout, ArrayBuffer })
  vm.runInContext(readFileSync(new URL(`../../miniprogram/upload/${name}`, import.meta.url), 'utf8'), context)
  return exports
}

const uploaderOf = (name, globals, options) =>
  load(name, globals).createUploader({ endpoint: SIGNER, appId: 'free', retryDelayMs: 4, ...options })

const fromSource = () => createUploader({ endpoint: SIGNER, appId: 'free', retryDelayMs: 4 })

const typeOf = async (key) => (await objects('')).find((each) => each.key === key).content_type

/** The files of data that are left. */
const left = () => {
  mkdirSync(join(photos, 'usr'), { recursive: true })
  return readdirSync(join(photos, 'usr'))
}

describe('data', () => {
  for (const [what, data, type] of [
    ['an ArrayBuffer', buffer(PNG), 'application/octet-stream'],
    ['a data URL', dataUrl, 'image/png'],
    ['a canvas', { toDataURL: () => dataUrl }, 'image/png'],
  ]) {
    test(`${what} is written to a file, uploaded and removed`, async () => {
      const { wx, calls } = phone()
      const seen = []
      const uploader = fromSource()
      const { key, url } = await uploader.upload(data, { onProgress: ({ total }) => seen.push(total) })
      assert.deepEqual(await download(url), PNG)
      assert.equal(await typeOf(key), type)
      assert.ok(seen.every((total) => total === PNG.length) && seen.length)
      assert.match(calls.find((call) => call.api === 'writeFile').filePath, /^wxfile:\/\/usr\/oss-signer-0$/)
      await waitUntil(() => !left().length)
    })
  }

  test('has a name and a type if they are given', async () => {
    phone()
    const { key } = await fromSource().upload(buffer(PNG), { filename: 'a.webp' })
    assert.match(key, /-a\.webp$/)
    assert.equal(await typeOf(key), 'image/webp')
  })

  test('of several uploads at once has files of its own, and those of failed uploads are removed too', async () => {
    const { calls } = phone()
    const uploader = fromSource()
    const contents = Array.from({ length: 6 }, (_, place) => randomBytes(1000 + place))
    const uploads = contents.map((content) => uploader.upload(buffer(content)))
    const tooLarge = failureOf(uploader.upload(buffer(Buffer.alloc(2 ** 20 + 1))))
    for (const [place, upload] of uploads.entries()) assert.deepEqual(await download((await upload).url), contents[place])
    assert.equal((await tooLarge).code, 'too_large')
    const paths = new Set(calls.filter((call) => call.api === 'writeFile').map((call) => call.filePath))
    assert.ok(paths.size <= 5, [...paths].join()) // at most as many as upload at once
    await waitUntil(() => !left().length)
  })

  test('that cannot be written is an error of the file, which is removed', async () => {
    const { wx, calls } = phone()
    wx.env = { USER_DATA_PATH: 'wxfile://elsewhere' }
    for (let upload = 0; upload < 2; upload++) assert.equal((await failureOf(fromSource().upload(dataUrl))).code, 'file')
    const writes = calls.filter((call) => call.api === 'writeFile').map((call) => call.filePath)
    assert.deepEqual(writes, Array(2).fill('wxfile://elsewhere/oss-signer-0'))
  })

  test('is sent in parts if it is large', async () => {
    const stub = await createStub()
    const { wx } = phone()
    const uploader = uploaderOf('miniprogram_dist/multipart.js', { wx }, { endpoint: stub.url, appId: 'videos', multipartThreshold: 2000 })
    const { key } = await uploader.upload(buffer(PNG))
    assert.deepEqual(stub.objects.get(key), PNG)
    await waitUntil(() => !left().length)
    await stub.close()
  })
})

test('Douyin: its calls are WeChat\'s', async () => {
  const { tt } = createTt({ files: photos })
  const path = photo()
  const uploader = uploaderOf('miniprogram_dist/index.js', {}, { platform: tt })
  const percents = []
  const { url } = await uploader.upload(path, { onProgress: ({ percent }) => percents.push(percent) })
  assert.deepEqual(await download(url), contentOf(path))
  assert.equal(percents.at(-1), 100)
  assert.deepEqual(await download((await uploader.upload(dataUrl)).url), PNG)
})

describe('Alipay', () => {
  const alipay = (options, more) => {
    const made = createMy({ files: photos, ...options })
    return { ...made, uploader: uploaderOf('my.js', { my: made.my }, more) }
  }

  test('a photo, a video and data are uploaded with the kind that Alipay requires', async () => {
    const { uploader, calls } = alipay()
    for (const name of ['a.jpg', 'b.mp4', 'c.mp3']) {
      const path = photo(name)
      assert.deepEqual(await download((await uploader.upload(path)).url), contentOf(path))
    }
    assert.deepEqual(await download((await uploader.upload(dataUrl)).url), PNG)
    const uploads = calls.filter((call) => call.api === 'my.uploadFile')
    assert.deepEqual(uploads.map((call) => call.fileType), ['image', 'video', 'audio', 'image'])
    assert.ok(uploads.every((call) => call.hideLoading))
    await waitUntil(() => !left().length)
  })

  test('another type is refused, and not sent', async () => {
    const { uploader, calls } = alipay()
    const error = await failureOf(uploader.upload(photo('a.pdf')))
    assert.deepEqual([error.code, error.retryable], ['unsupported_type', false])
    assert.deepEqual(calls.filter((call) => call.api === 'uploadFile'), [])
  })

  test('the user is logged in with the code of my.getAuthCode', async () => {
    for (const failsStatuses of [false, true]) {
      const { uploader, calls, storage } = alipay({ logIn: wechatCode, failsStatuses }, { appId: 'users' })
      await Promise.all([uploader.upload(photo('1.png')), uploader.upload(photo('2.png'))])
      assert.equal(calls.filter((call) => call.api === 'login').length, 1)
      assert.equal(storage.size, 1)
    }
  })

  test('its numbers of errors have codes', async () => {
    const codeOf = async (options, path = photo()) => (await failureOf(alipay(options, { retries: 0 }).uploader.upload(path, { size: 10 }))).code
    assert.equal(await codeOf({ domains: [] }), 'domain')
    assert.equal(await codeOf({ domains: [new URL(SIGNER).origin] }), 'domain')
    assert.equal(await codeOf({}, 'wxfile://none.jpg'), 'file')
    assert.equal(await codeOf({ routes: { [new URL(OSS).origin]: 1 } }), 'network')
  })

  test('DingTalk has the same calls, with statuses as texts and without tasks', async () => {
    const { my: dd } = createMy({ files: photos, isDingTalk: true })
    const path = photo()
    const { url, status } = await uploaderOf('my.js', { dd }).upload(path)
    assert.deepEqual([await download(url), status], [contentOf(path), 200])
    const { my: offline } = createMy({ files: photos, isDingTalk: true, domains: [] })
    assert.equal((await failureOf(uploaderOf('my.js', { dd: offline }).upload(path))).code, 'domain')
  })
})
