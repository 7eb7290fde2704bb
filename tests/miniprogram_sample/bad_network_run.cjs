'use strict'
// The sample's page uploads thirty files over a bad network, and reports the result as a line of JSON.
// argv: {project, files, endpoint, signer, oss, images, videos, documents}; `endpoint` is the signer's address in the page's
// settings. After the line "cut" the signer is unreachable, until a line on stdin gives its new address.
const readline = require('node:readline')
const { createProxy } = require('../miniprogram/tcp_proxy.js')
const { createPhone } = require('./phone.cjs')
const { watch } = require('./screen.cjs')
const { launch } = require('./simulator.cjs')

const STALL_MS = 2000
const CUT_AFTER = 10
const MAX_ROUNDS = 10
const pass = undefined
// All four concurrent uploads stall for longer than their form lives.
const EARLY = ['reset', pass, pass, 'stall', 'stall', 'stall', 'stall', pass, pass, pass, pass, 'half', pass, 'lose']
// Approximately after the cut.
const LATE = [pass, 'reset', pass, 'lose', pass, 'half', pass, 'stall', 'lose']
const SIGNER_PLANS = ['reset', pass, 'lose']

const parameters = JSON.parse(process.argv[2])
const report = (value) => process.stdout.write(`${JSON.stringify(value)}\n`)
const port = (address) => Number(new URL(address).port)

/** Count the results of wx.uploadFile. */
const withTally = (wx, tally) => {
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
  const ossProxy = await createProxy(port(parameters.oss))
  let signerProxy = await createProxy(port(parameters.signer))
  ossProxy.next(...EARLY, ...LATE)
  signerProxy.next(...SIGNER_PLANS)
  const routes = { [parameters.endpoint]: signerProxy.port, [parameters.oss]: ossProxy.port }
  const { wx, user } = createPhone({ files: parameters.files, routes })
  const tally = {}
  const program = launch(parameters.project, withTally(wx, tally))
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

  user.picks.push(parameters.images, parameters.videos, parameters.documents)
  const sources = program.document.querySelectorAll('.source')
  let expected = 0
  for (const [index, names] of [parameters.images, parameters.videos, parameters.documents].entries()) {
    expected += names.length
    program.tap(sources[index])
    await screen.waitUntil(({ files, uploaded }) => files.length + uploaded.length === expected)
  }

  await screen.waitUntil(({ uploaded }) => uploaded.length >= CUT_AFTER)
  await signerProxy.close()
  report('cut')
  const lines = readline.createInterface({ input: process.stdin })
  signerProxy = await createProxy(port(await new Promise((resolve) => lines.once('line', resolve))))
  lines.close()
  routes[parameters.endpoint] = signerProxy.port

  let rounds = 0
  let failed = 0
  for (;;) {
    await screen.waitUntil(({ files, uploaded, running }) => running === 0 && files.length + uploaded.length === expected)
    if (!screen.has('.retry-all') || rounds === MAX_ROUNDS) break
    rounds += 1
    failed += screen.names(':not(.uploaded)').length
    const { total } = program.page.data
    screen.tap('.retry-all')
    await screen.waitUntil((data) => data.total !== total)
  }
  clearInterval(stalls)
  const { files, uploaded, total } = program.page.data
  report({ files, uploaded, total, tally, rounds, failed, backwards: screen.backwards, screens: user.screens, seen: ossProxy.seen })
  program.close()
  await Promise.all([ossProxy.close(), signerProxy.close()])
}

main()
