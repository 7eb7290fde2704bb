// How many parts are sent at the same time, and for how long one may take: by what the connection does.

export const MAX_PARTS = 4

export const createLine = (timeoutMs) => {
  let limit = 2
  let sending = 0
  let streak = 0
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
        // Parts that need long get longer if fewer are sent at the same time.
        if (ms > timeoutMs) limit = Math.max(1, limit - 1)
        else if (++streak >= limit) {
          limit = Math.min(MAX_PARTS, limit + 1)
          streak = 0
        }
      } else if (ms === 0) {
        limit = Math.ceil(limit / 2)
        streak = 0
        usualMs *= 2
      }
      next()
    },

    /** The time limit of a part: WeChat ends a request after a minute. */
    _limitMs: () => Math.min(timeoutMs * 4, Math.max(timeoutMs, usualMs * 4 || Infinity)),
  }
}
