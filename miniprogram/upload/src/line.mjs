// How many parts are sent at the same time, and for how long one may take: by what the connection does.

export const MAX_PARTS = 4

export const createLine = (timeoutMs) => {
  let limit = 2
  let sending = 0
  let usualMs = 0 // of one part
  const queue = []

  const next = () => {
    while (sending < limit && queue.length) {
      sending++
      queue.shift()()
    }
  }

  return {
    /** Resolves when a part may be sent. */
    _enter: () =>
      new Promise((resolve) => {
        queue.push(resolve)
        next()
      }),

    /** `ms`: the duration of a part that is stored; 0 if the connection failed; undefined if neither is known. */
    _leave(ms) {
      sending--
      if (ms > 0) {
        usualMs = usualMs ? usualMs * 0.7 + ms * 0.3 : ms
        // On a slow connection, each part is faster if fewer are sent at the same time.
        limit = Math.max(1, Math.min(MAX_PARTS, limit + (ms > timeoutMs ? -1 : 1)))
      } else if (ms === 0) {
        limit = Math.ceil(limit / 2)
        usualMs *= 2
      }
      next()
    },

    /** The time limit of a part: WeChat ends a request after a minute. */
    _limitMs: () => Math.min(timeoutMs * 4, Math.max(timeoutMs, usualMs * 4 || Infinity)),
  }
}
