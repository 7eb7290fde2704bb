'use strict'
// Thirty files of the sample's own page through a bad network; the report is a line of JSON on stdout.
// argv: {project, files, endpoint, signer, oss, images, videos, documents}; `signer` and `oss` are addresses, `endpoint` what the
// page believes the signer's to be. "cut" on stdout: the signer is out of reach now; a line on stdin: where the new one is.
const readline = require('node:readline')
const { createProxy } = require('../miniprogram/flaky.js')
const { createPhone } = require('./phone.cjs')
const { watch } = require('./screen.cjs')
const { launch } = require('./simulator.cjs')

const STALL_MS = 2000
const CUT_AFTER = 10
const MOST_ROUNDS = 5
const fine = undefined
// All four uploads at once stall, for longer than their form lives.
const EARLY = ['reset', fine, fine, 'stall', 'stall', 'stall', 'stall', fine, fine, fine, fine, 'half', fine, 'lose']
// After about the cut.
const LATE = [fine, 'reset', fine, 'lose', fine, 'half', fine, 'stall', 'lose']
const SIGNER_PLANS = ['reset', fine, 'lose']

const given = JSON.parse(process.argv[2])
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`)
const port = (address) => Number(new URL(address).port)

/** Counts what became of the uploads, as wx tells it. */
const tallied = (wx, tally) => {
  const { uploadFile } = wx
  const count = (what) => (tally[what] = (tally[what] || 0) + 1)
  wx.uploadFile = (options) =>
    uploadFile({
      ...options,
      success(result) {
        const [, code] = /<Code>(.*?)<\/Code>/.exec(result.data) || []
        const [, message] = /<Message>(.*?)<\/Message>/.exec(result.data) || []
        count(code === 'AccessDenied' ? message : code || String(result.statusCode))
        options.success(result)
      },
      fail(reason) {
        count(reason.errMsg)
        options.fail(reason)
      },
    })
  return wx
}

const main = async () => {
  const ossProxy = await createProxy(port(given.oss))
  let signerProxy = await createProxy(port(given.signer))
  ossProxy.next(...EARLY, ...LATE)
  signerProxy.next(...SIGNER_PLANS)
  const routes = { [given.endpoint]: signerProxy.port, [given.oss]: ossProxy.port }
  const { wx, user } = createPhone({ files: given.files, routes })
  const tally = {}
  const program = launch(given.project, tallied(wx, tally))
  const screen = watch(program)

  let resuming = false
  const stalls = setInterval(() => {
    if (resuming || !ossProxy.stalled()) return
    resuming = true
    setTimeout(() => {
      resuming = false
      ossProxy.resume()
    }, STALL_MS)
  }, 20)

  user.picks.push(given.images, given.videos, given.documents)
  const sources = program.document.querySelectorAll('.source')
  let expected = 0
  for (const [index, names] of [given.images, given.videos, given.documents].entries()) {
    expected += names.length
    program.tap(sources[index])
    await screen.until(({ files, uploaded }) => files.length + uploaded.length === expected)
  }

  await screen.until(({ uploaded }) => uploaded.length >= CUT_AFTER)
  await signerProxy.close()
  say('cut')
  const lines = readline.createInterface({ input: process.stdin })
  signerProxy = await createProxy(port(await new Promise((resolve) => lines.once('line', resolve))))
  lines.close()
  routes[given.endpoint] = signerProxy.port

  let rounds = 0
  let failed = 0
  for (;;) {
    await screen.until(({ files, uploaded, running }) => running === 0 && files.length + uploaded.length === expected)
    if (!screen.has('.retry-all') || rounds === MOST_ROUNDS) break
    rounds += 1
    failed += screen.names(':not(.uploaded)').length
    const { total } = program.page.data
    screen.tap('.retry-all')
    await screen.until((data) => data.total !== total)
  }
  clearInterval(stalls)
  const { files, uploaded, total } = program.page.data
  say({ files, uploaded, total, tally, rounds, failed, backwards: screen.backwards, screens: user.screens, seen: ossProxy.seen })
  program.close()
  await Promise.all([ossProxy.close(), signerProxy.close()])
}

main()
