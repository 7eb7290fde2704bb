// A phone with photos, and the signer and the local cloud, which pytest has started.
import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const require = createRequire(import.meta.url)
const { createWx } = require('./wx.js')
export const { createProxy } = require('./tcp_proxy.js')

export const { SIGNER, OSS, WECHAT_APP, API_KEY, FILES } = process.env
export const CHINESE = /[\u4e00-\u9fff]/

const photos = join(FILES, 'photos')
mkdirSync(photos, { recursive: true })
const contents = new Map()

/** Create a photo, and return its path as wx.chooseMedia does. */
export function photo(name = `tmp_${randomBytes(6).toString('hex')}.jpg`, size = 1000) {
  const content = randomBytes(size)
  writeFileSync(join(photos, name), content)
  contents.set(name, content)
  return `wxfile://${name}`
}

/** Return the content of a photo. */
export const contentOf = (path) => contents.get(path.slice('wxfile://'.length))

/** Create a phone, as the global `wx`. */
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

/** Return a code of wx.login, from the local WeChat. */
export async function wechatCode(user = 'anna') {
  const response = await fetch(`${OSS}/-/wechat/codes`, { method: 'POST', body: JSON.stringify({ appid: WECHAT_APP, user }) })
  return (await response.json()).code
}

export async function setFaults(faults) {
  const response = await fetch(`${OSS}/-/faults`, { method: 'PUT', body: JSON.stringify(faults) })
  if (!response.ok) throw new Error(await response.text())
}

/** Return the objects below a prefix. */
export async function objects(prefix) {
  const all = await (await fetch(`${OSS}/-/objects?bucket=photos`)).json()
  return all.filter((each) => each.key.startsWith(prefix))
}

export async function download(url) {
  const response = await fetch(url)
  if (!response.ok) throw new Error(`${url}: ${response.status}`)
  return Buffer.from(await response.arrayBuffer())
}

export const retryQuickly = { retryDelayMs: 4 }

/** Return the error of a rejected promise. */
export async function failureOf(promise) {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('it did not fail')
}

/** Wait until a condition is true. */
export async function waitUntil(test) {
  while (!(await test())) await new Promise((resolve) => setTimeout(resolve, 2))
}

/** Return a whole HTTP response, which a proxy sends instead of the server's. */
export function raw(status, body = '', headers = {}) {
  const lines = Object.entries({ 'Content-Length': Buffer.byteLength(body), Connection: 'close', ...headers })
  return `HTTP/1.1 ${status} X\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`
}

/** Return an error document of OSS. */
export const ossError = (code, message, more = '') =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<Error>\n  <Code>${code}</Code>\n  <Message>${message}</Message>\n  <RequestId>5C3D</RequestId>\n${more}</Error>\n`
