// What multipart uploads need of mini-programs: slices of files, and storage.
import { assign, failure, nothing } from './failure.mjs'
import { host } from './host.mjs'
import { call, callFiles, platform as base } from './wx-platform.mjs'

const read = async (filePath, position, length) => {
  const { data } = await callFiles('readFile', { filePath, position, length })
  if (data.byteLength !== length) throw failure('file')
  return data
}

export const platform = assign({}, base, {
  /** Returns undefined if the file cannot be sliced: base libraries before 2.10.0 read whole files only. */
  _sliceableBytes: (file) => base._size(file).then((size) => read(file, size - 1, 1).then(() => size, nothing)),
  _slice: read,

  _put: ({ method, url, headers }, data, timeout, onSent, onStart) =>
    base._send(url, headers, data, timeout, (task) => onStart(() => task.abort()), method),

  _remove: (key) => call('removeStorage', { key }).catch(nothing),

  _keys() {
    try {
      return host().getStorageInfoSync().keys
    } catch (_) {}
  },

  /** There are no other pages of the same mini-program. */
  _lock: (name, run) => run(true),
})
