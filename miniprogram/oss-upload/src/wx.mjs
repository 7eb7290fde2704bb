// The mini-program's side of it: wx.request, wx.uploadFile, wx.login and wx's storage.
import { assign, failure } from './failure.mjs'
import { makeUploader } from './uploader.mjs'

export { createCancel } from './cancel.mjs'

/** wx tells of failures only in words, such as "uploadFile:fail timeout". */
const codeOf = (words) =>
  /domain list/.test(words) ? 'domain'
  : /time ?out/i.test(words) ? 'timeout'
  : /no such|not found|not exist|permission/i.test(words) ? 'file'
  : 'network'

/** Calls wx as it likes it. `code`: what its failure is, if its words are not asked; `use` gets the task. */
const call = (method, options, code, use, owner = wx) =>
  new Promise((resolve, reject) => {
    const fail = ({ errMsg }) => reject(failure(code || codeOf(errMsg), errMsg))
    const task = owner[method](assign(options, { success: resolve, fail }))
    if (use) use(task)
  })

/** Header names come in any case, and on some phones before the answer only. */
const answered = ({ statusCode, header, data }, before) => {
  const headers = {}
  const all = assign({}, before, header)
  for (const name in all) headers[name.toLowerCase()] = all[name]
  return [statusCode, headers, data]
}

let last = Date.now()
let elapsedMs = 0

const platform = {
  /** wx has no monotonic clock; in this one at least what was set back does not count. */
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
    } catch (_) {} // a broken storage costs a login, nothing more
  },

  _save: (key, data) => wx.setStorage({ key, data, fail() {} }),

  _send: async (url, header, data, timeout) =>
    answered(await call('request', { url, method: 'POST', header, data, timeout, dataType: 'text' })),

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

export const createUploader = (options) => makeUploader(platform, options)
