// The library for uni-app, without multipart uploads.
import { platform as web } from './h5-platform.mjs'
import { makeUploader } from './uploader.mjs'
import { withPaths } from './web-paths.mjs'
import { platform } from './wx-platform.mjs'

export { createCancel } from './cancel.mjs'

export const createUploader = (options) =>
  typeof document !== 'undefined' ? withPaths(makeUploader(web, options)) : makeUploader(platform, options)
