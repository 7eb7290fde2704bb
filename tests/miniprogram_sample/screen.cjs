'use strict'
// The sample's page as its user sees and taps it.

const LOOK_MS = 10

/** Return the text of a node. */
const text = (node) => node.textContent.trim()

exports.watch = ({ document, page, tap }) => {
  const idOf = (node) => node.__wxElement.dataset.id
  const rows = (kind) => [...document.querySelectorAll(`.file${kind}`)]
  const percentOf = (bar) => Number.parseFloat(bar.querySelector('.wx-progress-inner-bar').style.width)
  const backwards = []
  const highest = new Map() // by file, and for all files

  const sees = (what, percent) => {
    if (percent < (highest.get(what) || 0)) backwards.push({ what, percent, before: highest.get(what) })
    highest.set(what, percent)
  }
  const look = () => {
    const total = document.querySelector('.bar-total')
    if (total) sees('all', percentOf(total))
    for (const row of rows(':not(.uploaded)')) {
      const bar = row.querySelector('.bar')
      if (bar) sees(idOf(row), percentOf(bar))
    }
  }
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true })

  const screen = {
    backwards,
    names: (kind) => rows(kind).map((row) => text(row.querySelector('.name'))),
    rowOf: (name) => rows('').find((row) => text(row.querySelector('.name')) === name),
    state: (name) => text(screen.rowOf(name).querySelector('.state')),
    has: (selector) => document.querySelector(selector) !== null,
    tap(selector, name) {
      if (selector.startsWith('.retry')) highest.clear() // a retry starts at 0
      highest.delete('all') // more files, or fewer, are a new total
      tap((name ? screen.rowOf(name) : document).querySelector(selector))
    },
    /** Resolve when `shown` returns true for the page's data. */
    waitUntil: (shown) =>
      new Promise((resolve) => {
        const looking = setInterval(() => {
          if (!shown(page.data)) return
          clearInterval(looking)
          resolve()
        }, LOOK_MS)
      }),
  }
  return screen
}
