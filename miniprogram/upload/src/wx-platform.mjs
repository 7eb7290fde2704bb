// The platform of mini-programs: wx.request, wx.uploadFile, wx.login and storage.
import { assign, failure } from './failure.mjs'

/** wx reports failures only as messages, such as "uploadFile:fail timeout". */
const codeOf = (words) =>
  /domain list/.test(words) ? 'domain'
  : /time ?out/i.test(words) ? 'timeout'
  : /no such|not found|not exist|permission/i.test(words) ? 'file'
  : 'network'

/** Calls a wx method as a promise. `code`: the error code, else its message determines it; `use` receives the task. */
export const call = (method, options, code, use, owner = wx) =>
  new Promise((resolve, reject) => {
    const fail = ({ errMsg }) => reject(failure(code || codeOf(errMsg), errMsg))
    const task = owner[method](assign(options, { success: resolve, fail }))
    if (use) use(task)
  })

/** Header names come in any case, and on some phones only before the response. */
const answered = ({ statusCode, header, data }, before) => {
  const headers = {}
  const all = assign({}, before, header)
  for (const name in all) headers[name.toLowerCase()] = all[name]
  return [statusCode, headers, data]
}

export const request = async (method, url, header, data, timeout, use) =>
  answered(await call('request', { method, url, header, data, timeout, dataType: 'text' }, '', use))

let last = Date.now()
let elapsedMs = 0

export const platform = {
  /** wx has no monotonic clock; this one at least ignores a clock that is set back. */
  _now() {
    const now = Date.now()
    elapsedMs += Math.max(0, now - last)
    last = now
    return elapsedMs
  },

  _size: async (filePath) => (await call('getFileInfo', { filePath }, 'file', null, wx.getFileSystemManager())).size,

  _login: async () => (await call('login', {}, 'login')).code,

  _load(key) {
    try {
      return wx.getStorageSync(key)
    } catch (_) {} // a broken storage only costs another login
  },

  _save: (key, data) => wx.setStorage({ key, data, fail() {} }),

  _send: (url, header, data, timeout) => request('POST', url, header, data, timeout),

  async _upload({ url, file_field: name, fields }, key, filePath, timeout, onSent, onStart) {
    let before
    const options = { url, name, filePath, formData: assign({}, fields, { key }), timeout }
    const answer = await call('uploadFile', options, '', (task) => {
      onStart(() => task.abort())
      task.onHeadersReceived(({ header }) => (before = header))
      task.onProgressUpdate((sent) => onSent(sent.totalBytesSent / sent.totalBytesExpectedToSend))
    })
    return answered(answer, before)
  },
}
