// The library for mini-programs, without multipart uploads.
import { makeUploader } from './uploader.mjs'
import { platform } from './wx-platform.mjs'

export { createCancel } from './cancel.mjs'

export const createUploader = (options) => makeUploader(platform, options)
