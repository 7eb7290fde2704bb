'use strict'
// One user and the sample's page: what he taps, and what he sees. argv: {project, files, endpoint, signer, oss, ...}.
const assert = require('node:assert/strict')
const { createProxy } = require('../miniprogram/flaky.js')
const { createPhone } = require('./phone.cjs')
const { watch } = require('./screen.cjs')
const { launch } = require('./simulator.cjs')

const given = JSON.parse(process.argv[2])
const port = (address) => Number(new URL(address).port)
const [IMAGES, VIDEOS, CHAT_FILES] = [1, 2, 3].map((place) => `.source:nth-child(${place})`)

const tour = async ({ program, screen, user, wx, oss }) => {
  const { page } = program
  const pick = (source, names) => {
    user.picks.push(names)
    screen.tap(source)
  }
  const failed = (name) => screen.until(() => screen.rowOf(name) && screen.rowOf(name).querySelector('.failed'))
  const uploaded = (count) => screen.until((data) => data.uploaded.length === count && data.running === 0)

  assert.ok(screen.has('.empty'))
  screen.tap(IMAGES) // and closes the picker
  const { chooseMedia } = wx
  const refusal = 'chooseMedia:fail api scope is not declared in the privacy agreement'
  wx.chooseMedia = ({ fail }) => fail({ errMsg: refusal })
  screen.tap(VIDEOS)
  await screen.until(() => user.modals.length)
  assert.equal(user.modals.shift().content, refusal)
  wx.chooseMedia = chooseMedia

  // Two pictures: the second is cancelled under way, then tried again.
  oss.next(undefined, 'stall')
  pick(IMAGES, given.images)
  await screen.until((data) => data.uploaded.length === 1 && data.files.length === 1 && oss.stalled() === 1)
  assert.match(screen.rowOf('照片 PNG').innerHTML, /wxfile:\/\/photo/)
  assert.ok(!screen.has('.empty'))
  assert.match(program.document.querySelector('.head-name').textContent, /已完成 1 \/ 2/)
  screen.tap('.cancel')
  await failed('照片 PNG')
  assert.match(screen.state('照片 PNG'), /取消/)
  screen.tap('.retry')
  await uploaded(2)

  // A file that the app does not take: what is wrong, for the user and for whoever looks into it; no second try.
  pick(CHAT_FILES, [given.tooLarge])
  await failed(given.tooLarge)
  assert.match(screen.state(given.tooLarge), /太大/)
  assert.ok(!screen.has('.retry') && !screen.has('.retry-all'))
  user.answers.push(true)
  screen.tap('.failed')
  await screen.until(() => user.clipboard !== '')
  assert.match(user.clipboard, /code: too_large/)
  assert.equal(user.clipboard, user.modals.shift().content)
  screen.tap('.remove')
  await screen.until((data) => data.files.length === 0)

  // All of them cancelled, all of them tried again.
  oss.next('stall', 'stall', 'stall')
  pick(CHAT_FILES, given.documents)
  await screen.until(() => oss.stalled() === given.documents.length && screen.has('.cancel-all'))
  screen.tap('.cancel-all')
  for (const name of given.documents) await failed(name)
  await screen.until((data) => data.running === 0)
  screen.tap('.retry-all')
  await uploaded(2 + given.documents.length)

  pick(VIDEOS, given.videos)
  await uploaded(3 + given.documents.length)
  assert.equal(page.data.uploaded[0].label, '视频')
  assert.ok(!screen.has('.bar'))
  screen.tap('.copy', given.documents[0])
  await screen.until(() => user.clipboard.startsWith('http'))
  process.stdout.write(`${JSON.stringify({ link: user.clipboard, uploaded: page.data.uploaded })}\n`)

  // Whoever leaves the page ends what is under way.
  oss.next('stall')
  pick(IMAGES, given.images.slice(0, 1))
  await screen.until(() => oss.stalled() === 1)
}

/** The server names the object, the answer is lost, and the form has ended: it may be there already. */
const doubt = async ({ program, screen, user, oss }) => {
  oss.next('lose', 'reset', 'reset') // by the next try the form, good for two seconds, has ended
  user.picks.push([given.documents[0]])
  screen.tap(CHAT_FILES)
  await screen.until(() => screen.has('.retry'))
  assert.ok(!screen.has('.retry-all')) // only one at a time, each with the question
  user.answers.push(false, true)
  screen.tap('.retry')
  await screen.until(() => user.modals.length === 1)
  assert.match(user.modals[0].content, /可能已经上传/)
  assert.equal(screen.names('.uploaded').length, 0)
  screen.tap('.retry')
  await screen.until((data) => data.uploaded.length === 1)
  process.stdout.write(`${JSON.stringify({ uploaded: program.page.data.uploaded })}\n`)
}

/** The sample as it is, at the demo. */
const first = async ({ program, screen, user }) => {
  user.picks.push(given.images)
  screen.tap(IMAGES)
  await screen.until((data) => data.uploaded.length === given.images.length)
  process.stdout.write(`${JSON.stringify({ uploaded: program.page.data.uploaded })}\n`)
}

const main = async () => {
  const oss = await createProxy(port(given.oss))
  const routes = { [given.endpoint]: port(given.signer), [given.oss]: oss.port }
  const { wx, user } = createPhone({ files: given.files, routes })
  const program = launch(given.project, wx)
  const screen = watch(program)
  await { tour, doubt, first }[given.scenario]({ program, screen, user, wx, oss })
  assert.deepEqual(screen.backwards, [])
  program.close()
  await oss.close()
}

main()
