'use strict'
// The documented page uploads an image, then a chat file; each result is a line.
// argv: {project, files, appId, image, document}
const { createPhone } = require('./phone.cjs')
const { watch } = require('./screen.cjs')
const { launch } = require('./simulator.cjs')

const parameters = JSON.parse(process.argv[2])

const main = async () => {
  const { wx, user } = createPhone({ files: parameters.files, appId: parameters.appId })
  const program = launch(parameters.project, wx)
  const screen = watch(program)
  const shown = () => program.document.querySelector('.result').textContent
  for (const [button, name] of [['.image', parameters.image], ['.file', parameters.document]]) {
    user.picks.push([name])
    program.page.setData({ result: '' })
    screen.tap(button)
    await screen.waitUntil(() => shown() !== '')
    process.stdout.write(`${JSON.stringify(shown())}\n`)
  }
  program.close()
}

main()
