'use strict'
// The documented page uploads a chat file; its result is a line.
// argv: {project, files, appId, file}
const { createPhone } = require('./phone.cjs')
const { watch } = require('./screen.cjs')
const { launch } = require('./simulator.cjs')

const parameters = JSON.parse(process.argv[2])

const main = async () => {
  const { wx, user } = createPhone({ files: parameters.files, appId: parameters.appId })
  const program = launch(parameters.project, wx)
  const screen = watch(program)
  const shown = () => program.document.querySelector('.result').textContent
  user.picks.push([parameters.file])
  screen.tap('.file')
  await screen.waitUntil(() => shown() !== '')
  process.stdout.write(`${JSON.stringify(shown())}\n`)
  program.close()
}

main()
