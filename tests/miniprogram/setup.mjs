// What the tests share: a phone, photos on it, the signer and the cloud that pytest has started.
import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const require = createRequire(import.meta.url)
const { createWx } = require('./wx.js')
export const { createProxy } = require('./flaky.js')

export const { SIGNER, OSS, WECHAT_APP, API_KEY, FILES } = process.env
export const CHINESE = /[\u4e00-\u9fff]/

const photos = join(FILES, 'photos')
mkdirSync(photos, { recursive: true })
const contents = new Map()

/** Its path as wx.chooseMedia gives it. */
export function photo(name = `tmp_${randomBytes(6).toString('hex')}.jpg`, size = 1000) {
  const content = randomBytes(size)
  writeFileSync(join(photos, name), content)
  contents.set(name, content)
  return `wxfile://${name}`
}

export const contentOf = (path) => contents.get(path.slice('wxfile://'.length))

/** A phone of its own, as the global `wx`. */
export function phone(options = {}) {
  const made = createWx({ files: photos, ...options })
  globalThis.wx = made.wx
  return {
    ...made,
    forms: () => made.calls.filter((each) => each.api === 'request').length,
    sends: () => made.calls.filter((each) => each.api === 'uploadFile').length,
    logins: () => made.calls.filter((each) => each.api === 'login').length,
  }
}

/** A user's wx.login at the local WeChat. */
export async function wechatCode(user = 'anna') {
  const answer = await fetch(`${OSS}/-/wechat/codes`, { method: 'POST', body: JSON.stringify({ appid: WECHAT_APP, user }) })
  return (await answer.json()).code
}

export async function faults(given) {
  const answer = await fetch(`${OSS}/-/faults`, { method: 'PUT', body: JSON.stringify(given) })
  if (!answer.ok) throw new Error(await answer.text())
}

/** The objects below an app's prefix. */
export async function objects(prefix) {
  const all = await (await fetch(`${OSS}/-/objects?bucket=photos`)).json()
  return all.filter((each) => each.key.startsWith(prefix))
}

export async function stored(url) {
  const answer = await fetch(url)
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`)
  return Buffer.from(await answer.arrayBuffer())
}

export const fast = { retryDelayMs: 4 }

/** The error that a promise ends with. */
export async function failed(promise) {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('it did not fail')
}

/** Waits for something to become true. */
export async function until(test) {
  while (!(await test())) await new Promise((resolve) => setTimeout(resolve, 2))
}

/** A whole HTTP answer, for a proxy that gives it in place of the server's. */
export function raw(status, body = '', headers = {}) {
  const lines = Object.entries({ 'Content-Length': Buffer.byteLength(body), Connection: 'close', ...headers })
  return `HTTP/1.1 ${status} X\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`
}

export const ossError = (code, message, more = '') =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<Error>\n  <Code>${code}</Code>\n  <Message>${message}</Message>\n  <RequestId>5C3D</RequestId>\n${more}</Error>\n`
