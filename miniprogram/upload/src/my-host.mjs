// The calls of Alipay and DingTalk, in the form of WeChat's.
// See: https://help.aliyun.com/document_detail/67556.html and https://opendocs.alipay.com/mini/api/owycmh
import { assign, failure, nothing } from './failure.mjs'
import { kindOf } from './media-options.mjs'

/** What the numbers of errors mean, in the words of WeChat's messages. */
const REASONS = { request11: 'domain list', request13: 'timeout', uploadFile11: 'not found', uploadFile13: 'domain list' }

const platform = () => (typeof my !== 'undefined' ? my : dd)
const system = () => platform().getFileSystemManager()

const adapt = (method, owner = platform) => (options) => {
  const { success, fail } = options
  const succeed = (result) => success(assign({ header: result.headers }, result, {
    statusCode: +(result.statusCode || result.status), // DingTalk's and those of the developer tools are strings
    code: result.authCode,
  }))
  const task = owner()[method](assign(options, {
    headers: options.header,
    success: succeed,
    fail(reason) {
      // Earlier versions call `fail` when a response has the status of an error (19).
      if (reason.status) succeed(reason)
      else fail({ errMsg: `${reason.errorMessage} ${reason.error} ${REASONS[method + reason.error]}` })
    },
  }))
  return task || { abort: nothing, onProgressUpdate: nothing } // DingTalk has no tasks
}

const fileSystem = {
  getFileInfo: adapt('getFileInfo'),
  writeFile: adapt('writeFile', system),
  unlink: (options) => system().unlink(options),
}

const calls = {
  request: adapt('request'),
  uploadFile: adapt('uploadFile'),
  login: adapt('getAuthCode'),
  getStorageSync: (key) => platform().getStorageSync({ key }).data,
  setStorage: (options) => platform().setStorage(options),
}

export const host = () => assign(calls, { env: platform().env })
export const files = () => fileSystem

export const uploadOptions = (fields, fileName) => {
  const fileType = kindOf(fields)
  if (!fileType) throw failure('unsupported_type')
  return { fileName, fileType, hideLoading: true }
}
