// A mini-program on a phone: sends files, and prints {seconds, keys, failures} as JSON.
// Usage: node bench/phone_client.mjs library|sample JSON
// JSON: the addresses `signer` and `bucket`, the id `app`, and `files`, a list of paths.
import { createRequire } from 'node:module'

const { createWx } = createRequire(import.meta.url)('../tests/miniprogram/wx.js')
const [, , kind, json] = process.argv
const { signer, bucket, app, files } = JSON.parse(json)
globalThis.wx = createWx().wx

/** The library, with its defaults; all files are given to it at once. */
async function library() {
  const { createUploader } = await import('../miniprogram/upload/src/wx-multipart.mjs')
  const { upload } = createUploader({ endpoint: signer, appId: app, login: false })
  return Promise.allSettled(files.map(async (file) => (await upload(file)).key))
}

/** The documented sample: one file after the other, a signature for each, and no retries. */
async function sample() {
  const results = []
  for (const [number, file] of files.entries()) results.push(...(await Promise.allSettled([sendSample(file, number)])))
  return results
}

async function sendSample(filePath, number) {
  const { data } = await call('request', { url: `${signer}/get_post_signature_for_oss_upload` })
  const key = `${data.key_prefix}${Date.now()}-${number}`
  const formData = {
    key,
    policy: data.policy,
    'x-oss-signature-version': data.x_oss_signature_version,
    'x-oss-credential': data.x_oss_credential,
    'x-oss-date': data.x_oss_date,
    'x-oss-signature': data.signature,
    'x-oss-security-token': data.security_token,
    'x-oss-object-acl': 'private',
    success_action_status: '200',
  }
  const { statusCode, data: body } = await call('uploadFile', { url: bucket, filePath, name: 'file', formData })
  if (statusCode !== 200) throw new Error(`${statusCode} ${body}`)
  return key
}

function call(method, options) {
  return new Promise((success, fail) => wx[method]({ ...options, success, fail }))
}

const started = performance.now()
const results = await { library, sample }[kind]()
const seconds = (performance.now() - started) / 1000
const failures = results.filter(({ reason }) => reason).map(({ reason }) => reason.detail || reason.message || reason.errMsg)
process.stdout.write(JSON.stringify({ seconds, keys: results.flatMap(({ value }) => value || []), failures }))
