// What multipart uploads need of web pages: slices, localStorage and locks.
import { assign } from './failure.mjs'
import { platform as base, sendFile } from './h5-platform.mjs'

/** Returns undefined if the storage is blocked or full. */
const tryStorage = (use) => {
  try {
    return use(localStorage)
  } catch (_) {}
}

export const platform = assign({}, base, {
  _sliceableBytes: (file) => file.size,
  _slice: (file, start, size) => file.slice(start, start + size),

  _put: ({ method, url, headers }, body, timeoutMs, onSent, onStart) =>
    sendFile(body, method, url, body, headers, timeoutMs, onSent, onStart),

  _load: (key) => tryStorage((storage) => JSON.parse(storage.getItem(key))),
  _save: (key, data) => tryStorage((storage) => storage.setItem(key, JSON.stringify(data))),
  _remove: (key) => tryStorage((storage) => storage.removeItem(key)),
  _keys: () => tryStorage(Object.keys),

  /**
   * Calls `run` with a lock of all tabs, or with null if another tab has it. Browsers have locks with https only, and
   * refuse them where they block the storage.
   */
  _lock(name, run) {
    let running
    const start = (lock) => (running = run(lock))
    const { locks } = navigator
    return locks
      ? locks.request(name, { ifAvailable: true }, start).catch(() => running || run(true))
      : run(true)
  },
})
