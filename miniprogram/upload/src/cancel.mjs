// An AbortController for mini-programs, which have none.

export const createCancel = () => {
  const listeners = new Set()
  const signal = {
    aborted: false,
    addEventListener: (_, listener) => listeners.add(listener),
    removeEventListener: (_, listener) => listeners.delete(listener),
  }
  return {
    signal,
    abort() {
      signal.aborted = true
      listeners.forEach((listener) => listener())
    },
  }
}
