// Pauses uploads in parts, and resumes them.

export const createPause = () => {
  const listeners = new Set()
  const set = (paused) => () => {
    if (pause.paused === paused) return
    pause.paused = paused
    listeners.forEach((listener) => listener())
  }
  const pause = { paused: false, pause: set(true), resume: set(false), _listeners: listeners }
  return pause
}
