// Web pages of Taro and uni-app: their temporary paths are addresses of Blobs.
import { failure } from './failure.mjs'

const read = async (path) => {
  try {
    return await (await fetch(path)).blob()
  } catch ({ message }) {
    throw failure('file', message)
  }
}

export const withPaths = ({ upload, abort }) => ({
  abort,
  upload: async (file, options) => upload(file.charAt && file.indexOf('data:') ? await read(file) : file, options),
})
