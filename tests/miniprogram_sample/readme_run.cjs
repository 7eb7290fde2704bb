'use strict'
// README's code uploads one file for each app; the responses of OSS are a line: [status, body] for each.
// argv: {code, files, routes, appIds, file}
const { createPhone } = require('./phone.cjs')

const { code, files, routes, appIds, file } = JSON.parse(process.argv[2])

const upload = (appId) =>
  new Promise((resolve, reject) => {
    const { wx } = createPhone({ files, appId, routes })
    const { uploadFile } = wx
    wx.uploadFile = (options) =>
      uploadFile({ ...options, success: ({ statusCode, data }) => resolve([statusCode, data]), fail: reject })
    new Function('wx', 'filePath', 'fileName', code)(wx, `wxfile://${file}`, file)
  })

const main = async () => {
  const responses = []
  for (const appId of appIds) responses.push(await upload(appId))
  process.stdout.write(`${JSON.stringify(responses)}\n`)
}

main()
