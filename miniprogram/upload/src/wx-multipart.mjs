// The library for mini-programs, with multipart uploads.
import { setHost } from './host.mjs'
import { createMultipart } from './multipart.mjs'
import { makeUploader } from './uploader.mjs'
import { platform } from './wx-parts.mjs'

export { createCancel } from './cancel.mjs'
export { createPause } from './pause.mjs'

export const createUploader = (options) => {
  setHost(options.platform)
  return makeUploader(platform, options, createMultipart)
}
