// The calls of Alipay and DingTalk, in the form of WeChat's.
// See: https://help.aliyun.com/document_detail/67556.html, https://help.aliyun.com/document_detail/67569.html and
// https://opendocs.alipay.com/mini/api/owycmh
import { assign, failure, nothing } from './failure.mjs'
import { kindOf } from './media-options.mjs'

/** Returns the options of a method in its own form. */
export const adapt = (options, method) => {
  const { success, fail } = options
  const succeed = (result) => success(assign({ header: result.headers, code: result.authCode }, result, {
    statusCode: +(result.statusCode || result.status), // DingTalk's and those of the developer tools are strings
  }))
  return assign(options, {
    headers: options.header,
    apFilePath: options.filePath, // of getFileInfo
    success: succeed,
    fail(reason) {
      // Earlier versions call `fail` when a response has the status of an error (19).
      if (reason.status) succeed(reason)
      else fail({ errMsg: `${method + reason.error} ${reason.errorMessage}` })
    },
  })
}

/** DingTalk has no tasks. */
export const handle = (task) => task || { abort: nothing, onProgressUpdate: nothing }

/** Errors have numbers. */
export const codeOf = (words) =>
  /quest11 |File13 /.test(words) ? 'domain'
  : /quest13 /.test(words) ? 'timeout'
  : /File11 /.test(words) ? 'file'
  : 'network'

const own = typeof my !== 'undefined' ? my : dd
export const host = () => own

export const LOGIN = 'getAuthCode'
export const REQUEST = own.request ? 'request' : 'httpRequest' // DingTalk kept Alipay's earlier name

/** Returns the object with a method for files. */
export const filesWith = (method) => (own[method] ? own : own.getFileSystemManager())
export const load = (key) => own.getStorageSync({ key }).data

export const uploadOptions = (fields, fileName) => {
  const fileType = kindOf(fields)
  if (!fileType) throw failure('unsupported_type')
  return { fileName, fileType, hideLoading: true }
}
