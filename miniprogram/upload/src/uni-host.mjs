// The calls of uni-app, which are WeChat's.
export { uploadOptions } from './media-options.mjs'

export const host = () => uni

/** An app has no file system manager, but some of its calls. */
export const files = () => (uni.getFileSystemManager ? uni.getFileSystemManager() : uni)
