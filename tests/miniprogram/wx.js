// A `wx` that behaves as WeChat's does, over real HTTP: callbacks that come later, errors that are told only in errMsg,
// an HTTP error that counts as success, tasks, ten requests at once, real multipart from a file's path.
// Sources: the reference pages wx.request, wx.uploadFile, UploadTask, wx.login, wx.setStorage, FileSystemManager.
'use strict'

const fs = require('node:fs')
const http = require('node:http')
const path = require('node:path')

const AT_ONCE = 10
const USUAL_TIMEOUT_MS = 60000
const CHUNK_BYTES = 32 * 1024
const TYPES = { '.jpg': 'image/jpeg', '.png': 'image/png', '.gif': 'image/gif', '.mp4': 'video/mp4' }

/** success or fail, then complete, and never before the call has returned. */
function settle(options, kind, result) {
  setTimeout(() => {
    if (options[kind]) options[kind](result)
    if (options.complete) options.complete(result)
  }, 0)
}

/** APIs other than those with a task give a promise when they are called without callbacks. */
function promised(api) {
  return (options = {}) => {
    if (options.success || options.fail || options.complete) return void api(options)
    return new Promise((resolve, reject) => api({ ...options, success: resolve, fail: reject }))
  }
}

function listeners() {
  const all = new Set()
  return {
    on: (listener) => void all.add(listener),
    off: (listener) => void (listener ? all.delete(listener) : all.clear()),
    tell: (event) => all.forEach((listener) => listener(event)),
  }
}

/** The requests of one kind: ten under way, the others wait. */
function queue() {
  const waiting = []
  const state = { running: 0, most: 0 }
  const next = () => {
    if (state.running === AT_ONCE || !waiting.length) return
    state.running += 1
    state.most = Math.max(state.most, state.running)
    waiting.shift()(() => {
      state.running -= 1
      next()
    })
  }
  state.add = (start) => {
    waiting.push(start)
    next()
    return () => waiting.includes(start) && waiting.splice(waiting.indexOf(start), 1).length > 0
  }
  return state
}

/** The part of a task that wx.request and wx.uploadFile share. `send` writes the body, when it is this one's turn. */
function startTask(name, phone, turns, options, headers, send) {
  const received = listeners()
  const sent = listeners()
  let request
  let leave = () => {}
  let over = false
  const end = (kind, result) => {
    if (over) return
    over = true
    clearTimeout(timer)
    leave()
    if (request && kind === 'fail') request.destroy()
    settle(options, kind, { ...result, errMsg: `${name}:${result.errMsg}` })
  }
  const fail = (words) => end('fail', { errMsg: `fail ${words}`, errno: 600001 })
  const timer = setTimeout(() => fail('timeout'), options.timeout || USUAL_TIMEOUT_MS)
  const drop = turns.add((done) => {
    leave = done
    if (over) return done()
    const url = new URL(options.url)
    if (phone.domains && !phone.domains.includes(url.origin)) return fail('url not in domain list')
    request = http.request(url, {
      method: options.method || (name === 'uploadFile' ? 'POST' : 'GET'),
      headers: { ...headers, Referer: `https://servicewechat.com/${phone.appId}/devtools/page-frame.html` },
      agent: false,
      // As a name server might: what is meant for one port goes to another.
      port: phone.routes[url.origin] || url.port,
    })
    request.on('error', (error) => fail(error.code === 'ECONNREFUSED' ? 'net::ERR_CONNECTION_REFUSED' : 'net::ERR_CONNECTION_RESET'))
    request.on('response', (response) => {
      const header = {}
      for (let i = 0; i < response.rawHeaders.length; i += 2) header[phone.cased(response.rawHeaders[i])] = response.rawHeaders[i + 1]
      if (phone.tellsHeaders) received.tell({ header, statusCode: response.statusCode, cookies: [] })
      const parts = []
      response.on('data', (part) => parts.push(part))
      response.on('error', () => fail('net::ERR_CONTENT_LENGTH_MISMATCH'))
      response.on('end', () => {
        const text = Buffer.concat(parts).toString()
        end('success', { statusCode: response.statusCode, errMsg: 'ok', ...phone.answer(name, options, text, header) })
      })
    })
    send(request, sent.tell, fail)
  })
  return {
    abort: () => {
      drop()
      fail('abort')
    },
    onHeadersReceived: received.on,
    offHeadersReceived: received.off,
    onProgressUpdate: sent.on,
    offProgressUpdate: sent.off,
  }
}

/**
 * `appId`: for the Referer. `logIn`: what asks WeChat for a code; rejects when it cannot. `domains`: the origins on the
 * mini-program's list, if there is one. `routes`: by origin, another local port to connect to. `files`: the directory
 * that wxfile://NAME is in. `headersWithUpload`: some phones give uploadFile's answer its headers, which no page
 * promises. `tellsHeaders`: whether onHeadersReceived works, which came with base library 2.1.0. `cased`: how the names of headers look.
 */
function createWx(given = {}) {
  const phone = {
    appId: 'wx1234567890abcdef',
    logIn: async () => 'the code of nobody',
    files: '',
    routes: {},
    headersWithUpload: false,
    tellsHeaders: true,
    cased: (name) => name,
    ...given,
    answer(name, options, text, header) {
      if (name === 'uploadFile') return { data: text, ...(phone.headersWithUpload ? { header } : {}) }
      let data = text
      if ((options.dataType || 'json') === 'json') {
        try {
          data = JSON.parse(text)
        } catch {
          // Then it stays a text.
        }
      }
      return { data, header, cookies: [] }
    },
  }
  const calls = []
  const requests = queue()
  const uploads = queue()
  const storage = new Map()
  const realPath = (name) => (name.startsWith('wxfile://') ? path.join(phone.files, name.slice(9)) : name)

  const wx = {
    request(options) {
      calls.push({ api: 'request', url: options.url, header: { ...options.header } })
      const data = options.data === undefined ? '' : typeof options.data === 'string' ? options.data : JSON.stringify(options.data)
      const headers = { 'content-type': 'application/json', ...lower(options.header), 'content-length': Buffer.byteLength(data) }
      return startTask('request', phone, requests, options, headers, (request) => request.end(data))
    },

    uploadFile(options) {
      calls.push({ api: 'uploadFile', url: options.url, key: options.formData && options.formData.key })
      const name = realPath(options.filePath)
      const size = fs.existsSync(name) ? fs.statSync(name).size : -1
      const boundary = `----wx${Math.random().toString(36).slice(2)}`
      const { head, tail } = multipart(boundary, options, name)
      const total = head.length + Math.max(0, size) + tail.length
      const headers = { ...lower(options.header), 'content-type': `multipart/form-data; boundary=${boundary}`, 'content-length': total }
      return startTask('uploadFile', phone, uploads, options, headers, (request, tell, fail) => {
        if (size < 0) return fail('file not found')
        void sendFile(request, head, name, tail, total, tell)
      })
    },

    login: promised((options) => {
      calls.push({ api: 'login' })
      phone.logIn().then(
        (code) => settle(options, 'success', { code, errMsg: 'login:ok' }),
        (error) => settle(options, 'fail', { errMsg: `login:fail ${error.message}` }),
      )
    }),

    getStorageSync: (key) => (storage.has(key) ? JSON.parse(storage.get(key)) : ''),
    setStorageSync: (key, data) => void storage.set(key, JSON.stringify(data)),
    removeStorageSync: (key) => void storage.delete(key),
    setStorage: promised((options) => {
      storage.set(options.key, JSON.stringify(options.data))
      settle(options, 'success', { errMsg: 'setStorage:ok' })
    }),

    getFileSystemManager: () => ({
      getFileInfo(options) {
        const name = realPath(options.filePath)
        if (fs.existsSync(name)) settle(options, 'success', { size: fs.statSync(name).size, errMsg: 'getFileInfo:ok' })
        else settle(options, 'fail', { errMsg: `getFileInfo:fail no such file or directory "${options.filePath}"` })
      },
    }),
  }
  return { wx, phone, calls, storage, requests, uploads }
}

/** The user may not set the Referer. */
function lower(header = {}) {
  const entries = Object.entries(header).map(([name, value]) => [name.toLowerCase(), value])
  return Object.fromEntries(entries.filter(([name]) => name !== 'referer'))
}

/** The fields in their order, then the file. */
function multipart(boundary, options, name) {
  const fields = Object.entries(options.formData || {}).map(
    ([field, value]) => `--${boundary}\r\nContent-Disposition: form-data; name="${field}"\r\n\r\n${value}\r\n`,
  )
  const type = TYPES[path.extname(name).toLowerCase()] || 'application/octet-stream'
  const file =
    `--${boundary}\r\nContent-Disposition: form-data; name="${options.name}"; filename="${path.basename(name)}"\r\n` +
    `Content-Type: ${type}\r\n\r\n`
  return { head: Buffer.from(fields.join('') + file), tail: Buffer.from(`\r\n--${boundary}--\r\n`) }
}

async function sendFile(request, head, name, tail, total, tell) {
  let sent = 0
  const write = (part) =>
    new Promise((resolve, reject) => {
      request.write(part, (error) => {
        if (error) return reject(error)
        sent += part.length
        tell({ progress: Math.floor((sent / total) * 100), totalBytesSent: sent, totalBytesExpectedToSend: total })
        resolve()
      })
    })
  try {
    await write(head)
    for await (const part of fs.createReadStream(name, { highWaterMark: CHUNK_BYTES })) await write(part)
    await write(tail)
    request.end()
  } catch {
    // The request's own error event tells of it.
  }
}

module.exports = { createWx }
