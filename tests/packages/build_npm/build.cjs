'use strict'
// Runs WeChat's "Build npm" on a project. argv: its directory
const fs = require('node:fs')
const path = require('node:path')
const ci = require('miniprogram-ci')

const [projectPath] = process.argv.slice(2)
const privateKeyPath = path.join(projectPath, 'private.key')
fs.writeFileSync(privateKeyPath, 'building needs none')
const project = new ci.Project({ appid: 'wx1234567890abcdef', type: 'miniProgram', projectPath, privateKeyPath, ignores: [] })

ci.packNpm(project).then((warnings) => {
  if (warnings.length) throw new Error(JSON.stringify(warnings))
})
