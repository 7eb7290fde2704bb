// The library for Alipay and DingTalk. They cannot read slices of files, so it has no multipart uploads.
import { makeUploader } from './uploader.mjs'
import { platform } from './wx-platform.mjs'

export { createCancel } from './cancel.mjs'

export const createUploader = (options) => makeUploader(platform, options)
