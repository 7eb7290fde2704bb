// The calls of Alipay and DingTalk, in the form of WeChat's.
// See: https://help.aliyun.com/document_detail/67556.html, https://help.aliyun.com/document_detail/67569.html and
// https://opendocs.alipay.com/mini/api/owycmh
import { assign, failure, nothing } from './failure.mjs'
import { kindOf } from './media-options.mjs'

/** The codes of errors, by method and number. */
const CODES = { request11: 'domain', request13: 'timeout', uploadFile11: 'file', uploadFile13: 'domain' }

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

export const codeOf = (words) => CODES[words.split(' ')[0]] || 'network'

export const LOGIN = 'getAuthCode'

export const host = () => (typeof my !== 'undefined' ? my : dd)
/** Returns the object with a method for files. */
export const filesWith = (method) => (host()[method] ? host() : host().getFileSystemManager())
export const load = (key) => host().getStorageSync({ key }).data

export const uploadOptions = (fields, fileName) => {
  const fileType = kindOf(fields)
  if (!fileType) throw failure('unsupported_type')
  return { fileName, fileType, hideLoading: true }
}
