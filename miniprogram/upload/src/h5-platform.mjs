// The platform of web pages: XMLHttpRequest, because fetch reports no upload progress.
import { assign, failure, nothing } from './failure.mjs'

export const send = (method, url, body, headers, timeoutMs, onSent, onStart) =>
  new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest()
    xhr.open(method, url)
    xhr.timeout = timeoutMs
    for (const name in headers) xhr.setRequestHeader(name, headers[name])
    // A listener makes the browser send a preflight first.
    if (onSent) xhr.upload.onprogress = ({ loaded, total }) => onSent(loaded / total)
    xhr.onerror = () => reject(failure('network'))
    xhr.ontimeout = () => reject(failure('timeout'))
    xhr.onload = () => {
      const answer = {}
      // Read all headers: reading one that CORS hides logs an error in the console.
      for (const line of xhr.getAllResponseHeaders().split('\r\n')) {
        const at = line.indexOf(':')
        answer[line.slice(0, at).toLowerCase()] = line.slice(at + 2)
      }
      resolve([xhr.status, answer, xhr.responseText])
    }
    if (onStart) onStart(() => xhr.abort())
    xhr.send(body)
  })

/** Sends a file, or a part of one. One that was changed after it was chosen fails like a connection. */
export const sendFile = (file, ...request) =>
  send(...request).catch(async (error) => {
    await new Response(file.slice(0, 1)).arrayBuffer().catch(() => (error = failure('file')))
    throw error
  })

/** Returns the bytes of base64. */
const decode = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))

export const platform = {
  /** Returns a Blob of data: an ArrayBuffer, a data URL or a canvas. */
  _wrap(file) {
    const data = file.toDataURL ? file.toDataURL() : file
    const [, type, base64] = /^data:([^,;]*).*?,([^]*)/.exec(data) || []
    return base64 ? new Blob([decode(base64)], { type }) : data.byteLength >= 0 ? new Blob([data]) : data
  },

  _open: nothing,

  _now: () => performance.now(),

  _send: (url, headers, body, timeoutMs) =>
    send('POST', url, body, assign({ 'Content-Type': 'application/json' }, headers), timeoutMs),

  _upload({ url, file_field: field, fields }, key, file, timeoutMs, onSent, onStart) {
    const body = new FormData()
    const all = assign({}, fields, { key })
    for (const name in all) body.append(name, all[name])
    body.append(field, file) // OSS ignores fields after the file
    return sendFile(file, 'POST', url, body, {}, timeoutMs, onSent, onStart)
  },
}
