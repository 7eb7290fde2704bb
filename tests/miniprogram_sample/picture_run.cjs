'use strict'
// The HTML of the sample's page during and after uploads, each as a line. argv: as for tour_run.cjs
const fs = require('node:fs')
const path = require('node:path')
const { createProxy } = require('../miniprogram/tcp_proxy.js')
const { createPhone } = require('./phone.cjs')
const { watch } = require('./screen.cjs')
const { launch } = require('./simulator.cjs')

const parameters = JSON.parse(process.argv[2])

const main = async () => {
  const oss = await createProxy(Number(new URL(parameters.oss).port))
  const routes = { [parameters.endpoint]: Number(new URL(parameters.signer).port), [parameters.oss]: oss.port }
  const { wx, user } = createPhone({ files: parameters.files, routes })
  const program = launch(parameters.project, wx)
  const screen = watch(program)
  const picture = (name) => `data:image/png;base64,${fs.readFileSync(path.join(parameters.files, name)).toString('base64')}`
  const draw = () => {
    const html = program.html().replace(/wxfile:\/\/([\w-]+\.png)/g, (_, name) => picture(name))
    process.stdout.write(`${JSON.stringify(html)}\n`)
  }
  const pick = (place, names) => {
    user.picks.push(names)
    screen.tap(`.source:nth-child(${place})`)
  }
  pick(1, parameters.images)
  await screen.waitUntil((data) => data.uploaded.length === parameters.images.length)
  oss.next('stall', 'stall', 'stall', 'stall')
  pick(3, parameters.documents)
  await screen.waitUntil(() => oss.stalled() === parameters.documents.length)
  pick(2, parameters.videos)
  await screen.waitUntil((data) => oss.stalled() === data.files.length && data.files.length === 4)
  screen.tap('.cancel', parameters.documents[0])
  await screen.waitUntil((data) => data.running === parameters.documents.length && screen.has('.failed'))
  draw()
  oss.resume()
  screen.tap('.retry')
  await screen.waitUntil((data) => data.files.length === 0 && data.running === 0)
  draw()
  program.close()
  await oss.close()
}

main()
