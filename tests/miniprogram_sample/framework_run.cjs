'use strict'
// A page that a framework has built uploads a photo, then data; what it shows after each is a line.
// argv: {project, files, signer, photo}
const { createPhone } = require('./phone.cjs')
const { watch } = require('./screen.cjs')
const { launch } = require('./simulator.cjs')

const { project, files, signer, photo } = JSON.parse(process.argv[2])

const main = async () => {
  const { wx, user } = createPhone({ files, routes: { 'http://signer.test': Number(new URL(signer).port) } })
  const program = launch(project, wx)
  const screen = watch(program)
  const shown = () => program.document.querySelector('.result').textContent
  user.picks.push([photo])
  await screen.waitUntil((data) => screen.has('.photo') && (data.a || data.root)) // frameworks render after the start
  for (const button of ['.photo', '.data']) {
    const before = shown()
    screen.tap(button)
    await screen.waitUntil(() => shown() !== before)
    process.stdout.write(`${JSON.stringify(shown())}\n`)
  }
  program.close()
}

main()
