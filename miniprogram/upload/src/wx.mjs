// The library for mini-programs, without multipart uploads.
import { setHost } from './host.mjs'
import { makeUploader } from './uploader.mjs'
import { platform } from './wx-platform.mjs'

export { createCancel } from './cancel.mjs'

export const createUploader = (options) => {
  setHost(options.platform)
  return makeUploader(platform, options)
}
