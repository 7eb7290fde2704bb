// How many parts are sent at the same time, and for how long one may take: by what the connection does.

export const MAX_PARTS = 4
const MIN_GAIN = 1.2
const CALM = 8

export const createLine = (timeoutMs, now) => {
  let limit = 2
  let sending = 0
  let usualMs = Infinity // of one part
  const queue = []
  // The parts that were sent with this limit.
  let began = 0
  let stored = 0
  let totalMs = 0
  let isTrial = true // whether the limit was just raised
  let rate = 0 // parts per ms before that
  let calm = 0 // judgements since the last trial

  const next = () => {
    while (sending < limit && queue.length) {
      sending++
      queue.shift()()
    }
  }

  const begin = (parts, trial) => {
    limit = parts
    isTrial = trial
    stored = totalMs = 0
    began = now()
  }

  /** Raises the limit as long as more parts at the same time are faster; the parts on the way are lost in a reset. */
  const judge = () => {
    const measured = (limit * stored) / totalMs
    if (isTrial && measured < rate * MIN_GAIN) {
      calm = 0
      begin(limit - 1)
    } else {
      const isNext = limit < MAX_PARTS && (isTrial || ++calm > CALM)
      rate = measured
      begin(limit + isNext, isNext)
    }
  }

  return {
    /** Resolves when a part may be sent. */
    _enter: () => new Promise((resolve) => next(queue.push(resolve))),

    /** `ms`: the duration of a part; undefined if it does not depend on the connection alone. */
    _leave(ms, isStored) {
      sending--
      if (isStored) usualMs = ms
      // Earlier parts were sent with another limit.
      if (now() - ms >= began) {
        totalMs += ms
        if (!isStored) {
          begin(Math.ceil(limit / 2))
          usualMs *= 2
        } else if (++stored >= 2 * limit) judge()
      }
      next()
    },

    /** The time limit of a part, which doubles with each failure: WeChat ends a request after a minute. */
    _limitMs: (failures) => Math.min(timeoutMs * 4, Math.max(timeoutMs, usualMs * 4) * 2 ** failures),
  }
}
