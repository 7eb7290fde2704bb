// The calls of Taro, which are WeChat's.
import Taro from '@tarojs/taro'
import { assign, nothing } from './failure.mjs'

export { uploadOptions } from './media-options.mjs'

/** Taro rejects a promise besides calling `fail`. */
const handled = (name) => (options) => {
  const task = Taro[name](options)
  task.catch(nothing)
  return task
}

const calls = {
  request: handled('request'),
  uploadFile: handled('uploadFile'),
  login: handled('login'),
  setStorage: handled('setStorage'),
  removeStorage: handled('removeStorage'),
  getStorageSync: (key) => Taro.getStorageSync(key),
  getStorageInfoSync: () => Taro.getStorageInfoSync(),
}

export const host = () => assign(calls, { env: Taro.env })
export const files = () => Taro.getFileSystemManager()
