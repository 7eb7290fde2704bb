// The object with the calls of the platform: WeChat's, or that of a platform with the same calls.
import { nothing } from './failure.mjs'

export { LOGIN, REQUEST, adapt, codeOf, handle } from './wx-calls.mjs'

let own

/** Sets an object that has the calls of WeChat's, such as Douyin's `tt`. */
export const setHost = (platform) => (own = platform)

export const host = () => own || wx

/** Returns the object with a method for files. */
export const filesWith = () => host().getFileSystemManager()

export const load = (key) => host().getStorageSync(key)

/** More options of uploadFile, for the fields of a form and the name of the file's field. */
export const uploadOptions = nothing
