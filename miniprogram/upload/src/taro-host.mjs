// The calls of Taro, which are WeChat's.
import Taro from '@tarojs/taro'
import { nothing } from './failure.mjs'

export { uploadOptions } from './media-options.mjs'
export { LOGIN, REQUEST, adapt, codeOf } from './wx-calls.mjs'

/** Taro also rejects a promise, unlike the file system. */
export const handle = (task) => {
  if (task && task.catch) task.catch(nothing)
  return task
}

export const host = () => Taro
export const filesWith = () => Taro.getFileSystemManager()
export const load = (key) => Taro.getStorageSync(key)
