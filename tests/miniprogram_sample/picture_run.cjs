'use strict'
// The sample's page while it uploads, and later; each as a line with its HTML. argv: as for tour_run.cjs.
const fs = require('node:fs')
const path = require('node:path')
const { createProxy } = require('../miniprogram/flaky.js')
const { createPhone } = require('./phone.cjs')
const { watch } = require('./screen.cjs')
const { launch } = require('./simulator.cjs')

const given = JSON.parse(process.argv[2])

const main = async () => {
  const oss = await createProxy(Number(new URL(given.oss).port))
  const routes = { [given.endpoint]: Number(new URL(given.signer).port), [given.oss]: oss.port }
  const { wx, user } = createPhone({ files: given.files, routes })
  const program = launch(given.project, wx)
  const screen = watch(program)
  const picture = (name) => `data:image/png;base64,${fs.readFileSync(path.join(given.files, name)).toString('base64')}`
  const draw = () => {
    const html = program.html().replace(/wxfile:\/\/([\w-]+\.png)/g, (_, name) => picture(name))
    process.stdout.write(`${JSON.stringify(html)}\n`)
  }
  const pick = (place, names) => {
    user.picks.push(names)
    screen.tap(`.source:nth-child(${place})`)
  }
  pick(1, given.images)
  await screen.until((data) => data.uploaded.length === given.images.length)
  oss.next('stall', 'stall', 'stall', 'stall')
  pick(3, given.documents)
  await screen.until(() => oss.stalled() === given.documents.length)
  pick(2, given.videos)
  await screen.until((data) => oss.stalled() === data.files.length && data.files.length === 4)
  screen.tap('.cancel', given.documents[0])
  await screen.until((data) => data.running === given.documents.length && screen.has('.failed'))
  draw()
  oss.resume()
  screen.tap('.retry')
  await screen.until((data) => data.files.length === 0 && data.running === 0)
  draw()
  program.close()
  await oss.close()
}

main()
