// wx.login, sessions and custom headers, in a mini-program.
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { disturbedPhone, oss, signer, uploader } from './connections.mjs'
import {
  API_KEY, CHINESE, contentOf, download, failureOf, objects, ossError, phone, photo, raw, wechatCode,
} from './setup.mjs'

let device
beforeEach(() => {
  device = phone()
})

describe('authentication', () => {
  const users = (options) => uploader('users', options)

  test('wx.login is called when the signer requires it, once for many files', async () => {
    device = phone({ logIn: wechatCode })
    const app = users({ concurrency: 8 })
    await Promise.all(Array.from({ length: 8 }, () => app.upload(photo())))
    assert.equal(device.logins(), 1)
    assert.equal(device.forms(), 2) // the first one gets 401
    await app.upload(photo('other.png'))
    assert.equal(device.logins(), 1)
    assert.ok(device.calls.at(-2).header['X-Session'])
  })

  test('many files that need their own forms share one login', async () => {
    device = phone({ logIn: wechatCode })
    const app = uploader('passing', { concurrency: 6 })
    await Promise.all(Array.from({ length: 6 }, () => app.upload(photo())))
    assert.equal(device.logins(), 1)
    device.storage.clear()
  })

  test('the session is stored beyond the page', async () => {
    device = phone({ logIn: wechatCode })
    await users().upload(photo())
    assert.equal(device.storage.size, 1)
    await users().upload(photo())
    assert.deepEqual([device.logins(), device.forms()], [1, 3])
  })

  test('a session that the signer rejects is replaced', async () => {
    device = phone({ logIn: wechatCode })
    await users().upload(photo())
    for (const key of device.storage.keys()) device.wx.setStorageSync(key, 'not a session')
    const app = users({ concurrency: 6 })
    await Promise.all(['a.jpg', 'b.png', 'c.gif', 'd.mp4'].map((name) => app.upload(photo(name))))
    assert.equal(device.logins(), 2)
  })

  test('a session that the signer renews is stored', async () => {
    device = phone({ logIn: wechatCode })
    await uploader('passing').upload(photo())
    const [key] = device.storage.keys()
    const newer = device.wx.getStorageSync(key)
    device = disturbedPhone({ logIn: wechatCode })
    signer.next('pass', 'pass', { adds: `X-Session: ${newer}` })
    const app = uploader('passing')
    await app.upload(photo())
    await app.upload(photo())
    await app.upload(photo())
    assert.equal(device.calls.filter((each) => each.api === 'request').at(-1).header['X-Session'], newer)
    assert.deepEqual([...device.storage.values()], [JSON.stringify(newer)])
    assert.equal(device.logins(), 1)
  })

  test('a code that the signer rejects is not retried', async () => {
    const error = await failureOf(users().upload(photo()))
    assert.deepEqual([error.code, error.status, error.retryable], ['unauthenticated', 401, false])
    assert.match(error.message, CHINESE)
    assert.deepEqual([device.logins(), device.forms()], [1, 2])
  })

  test('a failed wx.login is retried', async () => {
    let left = 2
    device = phone({ logIn: () => (left-- > 0 ? Promise.reject(new Error('system error')) : wechatCode()) })
    await users().upload(photo())
    assert.equal(device.logins(), 3)
    left = 99
    device = phone({ logIn: () => Promise.reject(new Error('system error')) })
    const error = await failureOf(users({ retries: 1 }).upload(photo()))
    assert.deepEqual([error.code, error.detail], ['login', 'login:fail system error'])
    assert.match(error.message, CHINESE)
  })

  test('a login whose response is lost is retried with a new code', async () => {
    device = disturbedPhone({ logIn: wechatCode })
    signer.next('pass', 'lose')
    await users().upload(photo())
    assert.equal(device.logins(), 2)
  })

  test('login: false never calls wx.login', async () => {
    device = phone({ logIn: wechatCode })
    const error = await failureOf(users({ login: false }).upload(photo()))
    assert.deepEqual([error.code, device.logins()], ['unauthenticated', 0])
  })

  test('a broken storage only causes another login', async () => {
    device = phone({ logIn: wechatCode })
    device.wx.getStorageSync = () => {
      throw new Error('getStorageSync:fail')
    }
    await users().upload(photo())
    assert.equal(device.logins(), 1)
  })

  test('custom headers are sent, and requested again after 401', async () => {
    const requested = []
    const headers = async (refused) => {
      requested.push(!!refused)
      return { 'X-Api-Key': refused ? API_KEY : 'an old key' }
    }
    const app = uploader('keyed', { headers, login: false })
    assert.match((await app.upload(photo())).key, /^keyed\//)
    assert.deepEqual(requested, [false, true])
    assert.equal(device.logins(), 0)
  })
})

describe('an album over a bad network', () => {
  test('every file is stored exactly once', async () => {
    device = disturbedPhone({ logIn: wechatCode })
    const old = new Set((await objects('passing/')).map((each) => each.key))
    oss.next('reset', 'pass', 'lose', 'half', { response: raw(503, ossError('ServerBusy', 'busy')) }, 'pass', 'lose', 'reset')
    signer.next('pass', 'reset', 'lose', { response: raw(500) }, 'pass', 'reset')
    const app = uploader('passing', { concurrency: 6 })
    const paths = Array.from({ length: 30 }, () => photo(undefined, 30_000))
    const results = await Promise.all(paths.map((path) => app.upload(path)))
    const there = (await objects('passing/')).filter((each) => !old.has(each.key)).map((each) => each.key)
    assert.deepEqual(there.sort(), results.map((each) => each.key).sort())
    for (const [index, result] of results.entries()) assert.deepEqual(await download(result.url), contentOf(paths[index]))
  })
})
