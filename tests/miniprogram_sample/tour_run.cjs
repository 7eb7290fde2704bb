'use strict'
// A user of the sample's page. argv: {scenario, project, files, endpoint, signer, oss, ...}
const assert = require('node:assert/strict')
const { createProxy } = require('../miniprogram/tcp_proxy.js')
const { createPhone } = require('./phone.cjs')
const { watch } = require('./screen.cjs')
const { launch } = require('./simulator.cjs')

const parameters = JSON.parse(process.argv[2])
const port = (address) => Number(new URL(address).port)
const [IMAGES, VIDEOS, CHAT_FILES] = [1, 2, 3].map((place) => `.source:nth-child(${place})`)

const tour = async ({ program, screen, user, wx, oss }) => {
  const { page } = program
  const pick = (source, names) => {
    user.picks.push(names)
    screen.tap(source)
  }
  const failed = (name) => screen.waitUntil(() => screen.rowOf(name) && screen.rowOf(name).querySelector('.failed'))
  const uploaded = (count) => screen.waitUntil((data) => data.uploaded.length === count && data.running === 0)

  assert.ok(screen.has('.empty'))
  screen.tap(IMAGES) // the user closes the picker
  const { chooseMedia } = wx
  const refusal = 'chooseMedia:fail api scope is not declared in the privacy agreement'
  wx.chooseMedia = ({ fail }) => fail({ errMsg: refusal })
  screen.tap(VIDEOS)
  await screen.waitUntil(() => user.modals.length)
  assert.equal(user.modals.shift().content, refusal)
  wx.chooseMedia = chooseMedia

  // Two pictures: the second is cancelled during its upload, then retried.
  oss.next(undefined, 'stall')
  pick(IMAGES, parameters.images)
  await screen.waitUntil((data) => data.uploaded.length === 1 && data.files.length === 1 && oss.stalled() === 1)
  assert.match(screen.rowOf('照片 PNG').innerHTML, /wxfile:\/\/photo/)
  assert.ok(!screen.has('.empty'))
  assert.match(program.document.querySelector('.head-name').textContent, /已完成 1 \/ 2/)
  screen.tap('.cancel')
  await failed('照片 PNG')
  assert.match(screen.state('照片 PNG'), /取消/)
  screen.tap('.retry')
  await uploaded(2)

  // A file that the app rejects: a message for the user, details for support, and no retry.
  pick(CHAT_FILES, [parameters.tooLarge])
  await failed(parameters.tooLarge)
  assert.match(screen.state(parameters.tooLarge), /太大/)
  assert.ok(!screen.has('.retry') && !screen.has('.retry-all'))
  user.answers.push(true)
  screen.tap('.failed')
  await screen.waitUntil(() => user.clipboard !== '')
  assert.match(user.clipboard, /code: too_large/)
  assert.equal(user.clipboard, user.modals.shift().content)
  screen.tap('.remove')
  await screen.waitUntil((data) => data.files.length === 0)

  // All files are cancelled, then all are retried.
  oss.next('stall', 'stall', 'stall')
  pick(CHAT_FILES, parameters.documents)
  await screen.waitUntil(() => oss.stalled() === parameters.documents.length && screen.has('.cancel-all'))
  screen.tap('.cancel-all')
  for (const name of parameters.documents) await failed(name)
  await screen.waitUntil((data) => data.running === 0)
  screen.tap('.retry-all')
  await uploaded(2 + parameters.documents.length)

  pick(VIDEOS, parameters.videos)
  await uploaded(3 + parameters.documents.length)
  assert.equal(page.data.uploaded[0].label, '视频')
  assert.ok(!screen.has('.bar'))
  screen.tap('.copy', parameters.documents[0])
  await screen.waitUntil(() => user.clipboard.startsWith('http'))
  process.stdout.write(`${JSON.stringify({ link: user.clipboard, uploaded: page.data.uploaded })}\n`)

  // Leaving the page ends running uploads.
  oss.next('stall')
  pick(IMAGES, parameters.images.slice(0, 1))
  await screen.waitUntil(() => oss.stalled() === 1)
}

/** The server chooses the key, the response is lost, and the form has expired: the file may be stored already. */
const unknown = async ({ program, screen, user, oss }) => {
  oss.next('lose', 'reset', 'reset') // the form lives for two seconds, less than the retries need
  user.picks.push([parameters.documents[0]])
  screen.tap(CHAT_FILES)
  await screen.waitUntil(() => screen.has('.retry'))
  assert.ok(!screen.has('.retry-all')) // each file needs its own confirmation
  user.answers.push(false, true)
  screen.tap('.retry')
  await screen.waitUntil(() => user.modals.length === 1)
  assert.match(user.modals[0].content, /可能已经上传/)
  assert.equal(screen.names('.uploaded').length, 0)
  screen.tap('.retry')
  await screen.waitUntil((data) => data.uploaded.length === 1)
  process.stdout.write(`${JSON.stringify({ uploaded: program.page.data.uploaded })}\n`)
}

/** The unchanged sample with the demo. */
const first = async ({ program, screen, user }) => {
  user.picks.push(parameters.images)
  screen.tap(IMAGES)
  await screen.waitUntil((data) => data.uploaded.length === parameters.images.length)
  process.stdout.write(`${JSON.stringify({ uploaded: program.page.data.uploaded })}\n`)
}

const main = async () => {
  const oss = await createProxy(port(parameters.oss))
  const routes = { [parameters.endpoint]: port(parameters.signer), [parameters.oss]: oss.port }
  const { wx, user } = createPhone({ files: parameters.files, routes })
  const program = launch(parameters.project, wx)
  const screen = watch(program)
  await { tour, unknown, first }[parameters.scenario]({ program, screen, user, wx, oss })
  assert.deepEqual(screen.backwards, [])
  program.close()
  await oss.close()
}

main()
