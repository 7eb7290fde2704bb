'use strict'
// The sample's page uploads one video, and reports the result as a line of JSON.
// argv: {project, files, endpoint, signer, storage, video}; `storage` is the file that keeps wx's storage. A line "part" is
// written for each part that is sent.
const v8 = require('node:v8')
const vm = require('node:vm')
const { createPhone } = require('./phone.cjs')
const { watch } = require('./screen.cjs')
const { launch } = require('./simulator.cjs')

const parameters = JSON.parse(process.argv[2])
const MEASURE_MS = 200

v8.setFlagsFromString('--expose-gc')
const collectGarbage = vm.runInNewContext('gc')

/** Return the memory in use: what is garbage could be freed, which a phone does earlier than Node.js. */
const memory = () => {
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const report = (value) => process.stdout.write(`${JSON.stringify(value)}\n`)

const main = async () => {
  const routes = { [parameters.endpoint]: Number(new URL(parameters.signer).port) }
  const { files, storage } = parameters
  const { wx, user } = createPhone({ files, routes, storageFile: storage, keepsConnections: true })
  const program = launch(parameters.project, wx)
  const screen = watch(program)
  const { request } = wx
  wx.request = (options) => {
    if (options.method === 'PUT') report('part')
    return request(options)
  }
  const start = memory()
  let peak = start
  const measuring = setInterval(() => (peak = Math.max(peak, memory())), MEASURE_MS)

  user.picks.push([parameters.video])
  screen.tap('.source:nth-child(3)')
  await screen.waitUntil(({ files, uploaded, running }) => running === 0 && files.length + uploaded.length === 1)
  clearInterval(measuring)
  const { files: failed, uploaded } = program.page.data
  report({ uploaded, failed, backwards: screen.backwards, memoryBytes: peak - start })
  program.close()
}

main()
