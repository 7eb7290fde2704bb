// How many parts are sent at the same time, with a clock and a connection of the test's own.
import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { test } from 'node:test'
import { MAX_PARTS, createLine } from '../../miniprogram/upload/src/line.mjs'

const TIMEOUT_MS = 15000

const createPhone = () => {
  let now = 1000
  let waiting = 0
  let sending = 0
  const line = createLine(TIMEOUT_MS, () => now)
  return {
    line,

    /**
     * Sends parts in rounds, in each as many as the line admits, and returns these numbers. `durationOf`: the ms of each
     * part, by how many are sent at the same time; parts are stored, or fail with `isStored` false.
     */
    async send(rounds, durationOf, isStored = true) {
      const admitted = []
      for (let round = 0; round < rounds; round++) {
        for (; waiting + sending < MAX_PARTS; waiting++) {
          line._enter().then(() => {
            waiting--
            sending++
          })
        }
        await setImmediate()
        const ms = durationOf(sending)
        admitted.push(sending)
        now += ms || 1
        for (; sending; sending--) line._leave(ms, isStored)
      }
      return admitted
    },
  }
}

const fast = () => 100 // as long with four parts as with one: the round trip is most of it
const full = (parts) => 400 * parts // one part fills the connection
const last = (admitted) => admitted.slice(-8)

test('more parts at the same time, if that is faster', async () => {
  const admitted = await createPhone().send(40, fast)
  assert.equal(admitted[0], 2)
  assert.deepEqual(last(admitted), Array(8).fill(4))
})

test('not more than the connection carries, since they are lost when it breaks', async () => {
  const admitted = await createPhone().send(12, full)
  assert.equal(Math.max(...admitted), 3)
  assert.deepEqual(last(admitted), Array(8).fill(2))
})

test('more after a while, when the connection has become better', async () => {
  const phone = createPhone()
  await phone.send(12, full)
  assert.deepEqual(last(await phone.send(60, fast)), Array(8).fill(4))
})

test('half as many after a timeout, also if all parts had one', async () => {
  const phone = createPhone()
  await phone.send(40, fast)
  assert.deepEqual(await phone.send(3, () => TIMEOUT_MS, false), [4, 2, 1])
})

test('as many as before after a break, which shows nothing about what the connection carries', async () => {
  const phone = createPhone()
  await phone.send(40, fast)
  assert.deepEqual(await phone.send(3, () => undefined, false), [4, 4, 4])
})

test('a part may take four times as long as usual, but not longer than WeChat allows', async () => {
  const phone = createPhone()
  assert.equal(phone.line._limitMs(0), TIMEOUT_MS * 4)
  await phone.send(40, fast)
  assert.equal(phone.line._limitMs(0), TIMEOUT_MS)
  await phone.send(40, () => 10_000)
  assert.ok(phone.line._limitMs(0) > 39_000 && phone.line._limitMs(0) <= 40_000)
  assert.deepEqual([1, 9].map(phone.line._limitMs), [TIMEOUT_MS * 4, TIMEOUT_MS * 4])
})

test('a part may take twice as long after each failure', async () => {
  const phone = createPhone()
  await phone.send(40, fast)
  assert.deepEqual([0, 1, 2, 3].map(phone.line._limitMs), [1, 2, 4, 4].map((times) => times * TIMEOUT_MS))
})
