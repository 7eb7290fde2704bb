// A signer with multipart uploads and its bucket, in this process, whose responses a test can replace.
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import { ossError } from './setup.mjs'

export const PART_BYTES = 1000
const NO_UPLOAD = [409, { code: 'upload_gone', title: 'Upload gone' }]
const md5 = (content) => createHash('md5').update(content).digest('hex').toUpperCase()

/**
 * `stub.plan(what, ...responses)` replaces the next responses to `form`, `start`, `parts`, `list`, `complete`, `abort` or `put`:
 * [status, body], 'reset', 'lose' (it has an effect, but no response), 'stall' until `release()`, or undefined for the
 * usual one. `requests` are the requests so far, `objects` the stored content by key.
 */
export async function createStub() {
  const uploads = new Map()
  const held = []
  let plans = {}
  let ids = 0
  const stub = { requests: [], objects: new Map(), uploads, expiresIn: 900, signed: 3, etags: true }

  const sign = ({ id, size, count }, number) => ({
    part_number: number,
    method: 'PUT',
    url: `${stub.url}/bucket/${id}?partNumber=${number}&x-oss-expires=${stub.expiresIn}&signature=${(stub.signatures += 1)}`,
    headers: { 'Content-Type': 'application/octet-stream' },
    size: number < count ? PART_BYTES : size - PART_BYTES * (count - 1),
    expires_at: new Date(Date.now() + stub.expiresIn * 1000).toISOString(),
  })
  stub.signatures = 0

  const handlers = {
    start({ size, filename }) {
      const id = `u${(ids += 1)}`
      const upload = { id, key: `videos/${id}-${filename}`, size, count: Math.ceil(size / PART_BYTES), parts: new Map() }
      uploads.set(id, upload)
      const parts = Array.from({ length: Math.min(stub.signed, upload.count) }, (_, index) => sign(upload, index + 1))
      const expires = new Date(Date.now() + 86_400_000).toISOString()
      return [201, { upload: id, key: upload.key, part_size: PART_BYTES, part_count: upload.count, parts, expires_at: expires }]
    },
    parts: (upload, { part_numbers: numbers }) => [200, { parts: numbers.map((number) => sign(upload, number)) }],
    list: ({ parts }) => [
      200,
      { parts: [...parts].map(([number, content]) => ({ part_number: number, size: content.length, etag: md5(content) })) },
    ],
    complete(upload, { parts }) {
      const stored = Array.from({ length: upload.count }, (_, index) => upload.parts.get(index + 1))
      if (stored.includes(undefined)) return [409, { code: 'incomplete', title: 'Incomplete' }]
      if (parts && parts.some(({ part_number: number, etag }) => etag !== md5(stored[number - 1]))) return [409, { code: 'other' }]
      stub.objects.set(upload.key, Buffer.concat(stored))
      uploads.delete(upload.id)
      upload.isComplete = true
      gone.set(upload.id, upload)
      return completed(upload)
    },
    abort(upload) {
      uploads.delete(upload.id)
      return [204, '']
    },
  }
  const gone = new Map()
  const completed = ({ key }) => [200, { key, url: `${stub.url}/bucket/${key}`, etag: 'E-2', size: stub.objects.get(key).length }]

  const respond = (what, request, body) => {
    if (what === 'put') {
      const [, id, number] = /\/bucket\/(u\d+)\?partNumber=(\d+)/.exec(request.url)
      if (!uploads.has(id)) return [404, ossError('NoSuchUpload', 'no')]
      uploads.get(id).parts.set(+number, body)
      return [200, '', stub.etags ? { ETag: `"${md5(body)}"` } : {}]
    }
    if (what === 'form' || what === 'none') return [404, { code: 'unknown_app' }]
    const message = JSON.parse(body)
    if (what === 'start') return handlers.start(message)
    if (what === 'complete' && gone.has(message.upload)) return completed(gone.get(message.upload))
    const upload = uploads.get(message.upload)
    return upload ? handlers[what](upload, message) : NO_UPLOAD
  }

  const server = createServer(async (request, response) => {
    const last = request.url.split('/').at(-1)
    const what = request.method === 'PUT' ? 'put' : { uploads: 'form', multipart: 'start' }[last] || last
    stub.requests.push({ what, url: request.url, headers: request.headers })
    const own = stub.requests.at(-1)
    const chunks = []
    request.on('error', () => {})
    for await (const chunk of request) chunks.push(chunk)
    const body = Buffer.concat(chunks)
    if (what !== 'put' && what !== 'none') own.body = JSON.parse(body)
    const plan = (plans[what] || []).shift()
    if (plan === 'reset') return void request.socket.resetAndDestroy()
    if (plan === 'stall') {
      await new Promise((resolve) => {
        held.push(resolve)
        request.socket.on('close', resolve)
      })
      if (request.socket.destroyed) return
    }
    const [status, content, headers = {}] = Array.isArray(plan) ? plan : respond(what, request, body)
    if (plan === 'lose') return void request.socket.resetAndDestroy()
    response.writeHead(status, headers).end(typeof content === 'string' ? content : JSON.stringify(content))
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  stub.url = `http://127.0.0.1:${server.address().port}`
  stub.plan = (what, ...more) => (plans[what] = (plans[what] || []).concat(more))
  stub.unplan = (what) => (plans[what] = [])
  stub.count = (what) => stub.requests.filter((each) => each.what === what).length
  stub.held = () => held.length
  stub.release = () => held.splice(0).forEach((resolve) => resolve())
  stub.partsOf = (what) => stub.requests.filter((each) => each.what === what).map((each) => each.body)
  stub.sent = () => stub.requests.filter((each) => each.what === 'put').map((each) => +/partNumber=(\d+)/.exec(each.url)[1])
  stub.close = () => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  }
  return stub
}
