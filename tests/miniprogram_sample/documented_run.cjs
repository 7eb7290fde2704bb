'use strict'
// The documented page: an image, then a chat file. argv: {project, files, image, document}; each result is a line.
const { createPhone } = require('./phone.cjs')
const { watch } = require('./screen.cjs')
const { launch } = require('./simulator.cjs')

const given = JSON.parse(process.argv[2])

const main = async () => {
  const { wx, user } = createPhone({ files: given.files, appId: given.appId })
  const program = launch(given.project, wx)
  const screen = watch(program)
  const shown = () => program.document.querySelector('.result').textContent
  for (const [button, name] of [['.image', given.image], ['.file', given.document]]) {
    user.picks.push([name])
    program.page.setData({ result: '' })
    screen.tap(button)
    await screen.until(() => shown() !== '')
    process.stdout.write(`${JSON.stringify(shown())}\n`)
  }
  program.close()
}

main()
