// The library for Taro, without multipart uploads.
import Taro from '@tarojs/taro'
import { platform as web } from './h5-platform.mjs'
import { makeUploader } from './uploader.mjs'
import { withPaths } from './web-paths.mjs'
import { platform } from './wx-platform.mjs'

export { createCancel } from './cancel.mjs'

export const createUploader = (options) =>
  Taro.getEnv() === 'WEB' ? withPaths(makeUploader(web, options)) : makeUploader(platform, options)
