// The library for uni-app, with multipart uploads.
import { platform as web } from './h5-parts.mjs'
import { createMultipart } from './multipart.mjs'
import { makeUploader } from './uploader.mjs'
import { withPaths } from './web-paths.mjs'
import { platform } from './wx-parts.mjs'

export { createCancel } from './cancel.mjs'
export { createPause } from './pause.mjs'

export const createUploader = (options) =>
  typeof document !== 'undefined'
    ? withPaths(makeUploader(web, options, createMultipart))
    : makeUploader(platform, options, createMultipart)
