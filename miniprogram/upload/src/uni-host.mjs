// The calls of uni-app, which are WeChat's.
export { uploadOptions } from './media-options.mjs'
export { LOGIN, REQUEST, adapt, codeOf, handle } from './wx-calls.mjs'

export const host = () => uni

/** An app has no file system manager, but some of its calls. */
export const filesWith = () => (uni.getFileSystemManager ? uni.getFileSystemManager() : uni)
export const load = (key) => uni.getStorageSync(key)
