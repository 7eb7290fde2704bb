// The platform of mini-programs: requests, uploads, login, storage and files.
import { assign, failure, nothing } from './failure.mjs'
import { LOGIN, REQUEST, adapt, codeOf, filesWith, handle, host, load, uploadOptions } from './host.mjs'

/** Calls a method as a promise. `code`: the error code, else its message determines it; `use` receives the task. */
export const call = (method, options, code, use = nothing, owner = host()) =>
  new Promise((success, reject) => {
    const fail = ({ errMsg: words }) => reject(failure(code || codeOf(words), words))
    use(handle(owner[method](adapt(assign(options, { success, fail }), method))))
  })

/** Calls a method of the file system. */
export const callFiles = (method, options) => call(method, options, 'file', nothing, filesWith(method))

/** Header names have any case; some phones pass them only before the response. */
const answered = ({ statusCode, header, data }, before) => {
  const headers = {}
  const all = assign({}, before, header)
  for (const name in all) headers[name.toLowerCase()] = all[name]
  return [statusCode, headers, data]
}

let last = Date.now()
let elapsedMs = 0
const places = {} // of data: the paths in use

export const platform = {
  /** There is no monotonic clock; this one at least ignores a clock that is set back. */
  _now() {
    const now = Date.now()
    elapsedMs += Math.max(0, now - last)
    last = now
    return elapsedMs
  },

  /** Data has the members of a Blob; a path stays a string. */
  _wrap(file) {
    const data = file.toDataURL ? file.toDataURL() : file // a canvas
    const { byteLength: size } = data
    if (size >= 0) return { size, _data: data }
    const [, type, base64] = /^data:([^,;]*).*?,([^]*)/.exec(data) || []
    return base64 ? { type, size: base64.replace(/=+$/, '').length * 3 / 4 | 0, _data: base64 } : data
  },

  _size: async (filePath) => (await callFiles('getFileInfo', { filePath })).size,

  /** Writes data into a file, which becomes that of the job. A killed mini-program leaves few: they have the same names. */
  async _open(job) {
    const { _data: data } = job._file
    if (!data) return
    let filePath
    let place = 0
    do filePath = `${host().env.USER_DATA_PATH}/oss-signer-${place++}`
    while (places[filePath])
    places[(job._file = filePath)] = 1
    await callFiles('writeFile', { filePath, data, encoding: data.charAt ? 'base64' : 'binary' })
  },

  _close(filePath) {
    places[filePath] = 0
    callFiles('unlink', { filePath }).catch(nothing)
  },

  _login: async () => (await call(LOGIN, {}, 'login')).code,

  _load(key) {
    try {
      return load(key)
    } catch (_) {} // a broken storage only costs another login
  },

  _save: (key, data) => call('setStorage', { key, data }).catch(nothing),

  _send: async (url, header, data, timeout, use, method = 'POST') =>
    answered(await call(REQUEST, { method, url, header, data, timeout, dataType: 'text' }, '', use)),

  async _upload({ url, file_field: name, fields }, key, filePath, timeout, onSent, onStart) {
    let before
    const options = { url, name, filePath, formData: assign({}, fields, { key }), timeout }
    const answer = await call('uploadFile', assign(options, uploadOptions(fields, name)), '', (task) => {
      onStart(() => task.abort())
      if (task.onHeadersReceived) task.onHeadersReceived(({ header }) => (before = header))
      task.onProgressUpdate((sent) => onSent(sent.totalBytesSent / sent.totalBytesExpectedToSend))
    })
    return answered(answer, before)
  },
}
