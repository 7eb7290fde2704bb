// The library for web pages, without multipart uploads.
import { makeUploader } from './uploader.mjs'
import { platform } from './h5-platform.mjs'

export { createCancel } from './cancel.mjs'

export const createUploader = (options) => makeUploader(platform, options)
