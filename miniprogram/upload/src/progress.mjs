// Progress that never decreases, neither when a file is retried nor when it fails.
import { nothing } from './failure.mjs'

const percentOf = (loaded, total) => Math.min(99, (loaded / total) * 100 | 0)

/** The progress of all files since the uploader was last idle. Returns three functions: enter, follow and leave a file. */
export const createTotal = (report = nothing) => {
  let loaded
  let total
  let percent
  let files = 0
  let finished = 0

  const update = () => {
    percent = finished < files ? Math.max(percent, percentOf(loaded, total)) : 100
    report({ loaded, total, percent, files, finished })
  }

  const enter = () => {
    if (files === finished) loaded = total = percent = files = finished = 0
    files++
  }

  /** The progress of one file. Returns a function of the sent share and, at the end, whether the file is stored. */
  const follow = (size, reportFile = nothing) => {
    let max = 0
    total += size
    return (share, isStored) => {
      const now = Math.floor(Math.min(1, share) * size)
      const isFinished = isStored !== undefined
      if (now > max || isFinished) {
        loaded += now - max
        max = now
        if (isStored !== false) reportFile({ loaded: now, total: size, percent: isFinished ? 100 : percentOf(now, size) })
        update()
      }
    }
  }

  const leave = () => {
    finished++
    update()
  }

  return [enter, follow, leave]
}
