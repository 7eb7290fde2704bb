// A `wx` that behaves like WeChat's, over real HTTP: asynchronous callbacks, errors only in errMsg, HTTP errors as success,
// tasks, at most ten requests at once, and multipart bodies from the path of a file.
// Sources: the reference pages wx.request, wx.uploadFile, UploadTask, wx.login, wx.setStorage, FileSystemManager.
'use strict'

const fs = require('node:fs')
const http = require('node:http')
const path = require('node:path')

const MAX_CONCURRENT = 10
const DEFAULT_TIMEOUT_MS = 60000
const CHUNK_BYTES = 32 * 1024
const TYPES = { '.jpg': 'image/jpeg', '.png': 'image/png', '.gif': 'image/gif', '.mp4': 'video/mp4' }

/** Call success or fail, then complete, after the call has returned. */
function settle(options, kind, result) {
  setTimeout(() => {
    if (options[kind]) options[kind](result)
    if (options.complete) options.complete(result)
  }, 0)
}

/** Like WeChat's APIs without a task, return a promise when no callback is given. */
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
    emit: (event) => all.forEach((listener) => listener(event)),
  }
}

/** The requests of one kind: ten run, the others wait. */
function queue() {
  const waiting = []
  const state = { running: 0, max: 0 }
  const next = () => {
    if (state.running === MAX_CONCURRENT || !waiting.length) return
    state.running += 1
    state.max = Math.max(state.max, state.running)
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

/** Start a task of wx.request or wx.uploadFile; `send` writes the body. */
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
  const fail = (reason) => end('fail', { errMsg: `fail ${reason}`, errno: 600001 })
  const timer = setTimeout(() => fail('timeout'), options.timeout || DEFAULT_TIMEOUT_MS)
  const drop = turns.add((done) => {
    leave = done
    if (over) return done()
    if (!URL.canParse(options.url)) return fail(`invalid url "${options.url}"`)
    const url = new URL(options.url)
    if (phone.domains && !phone.domains.includes(url.origin)) return fail('url not in domain list')
    const secure = url.protocol === 'https:'
    request = http.request(url, {
      method: options.method || (name === 'uploadFile' ? 'POST' : 'GET'),
      headers: { ...headers, Referer: phone.referer || `https://servicewechat.com/${phone.appId}/devtools/page-frame.html` },
      agent: name === 'request' && phone.agent,
      // Like a name server, connect to another port than the one of the URL; like a proxy in front, without TLS.
      port: phone.routes[url.origin] || url.port,
      ...(secure || phone.routes[url.origin] ? { protocol: 'http:', hostname: '127.0.0.1' } : {}),
    })
    request.on('error', (error) => fail(error.code === 'ECONNREFUSED' ? 'net::ERR_CONNECTION_REFUSED' : 'net::ERR_CONNECTION_RESET'))
    request.on('response', (response) => {
      const header = {}
      for (let i = 0; i < response.rawHeaders.length; i += 2) header[phone.cased(response.rawHeaders[i])] = response.rawHeaders[i + 1]
      if (phone.emitsHeaders) received.emit({ header, statusCode: response.statusCode, cookies: [] })
      const parts = []
      response.on('data', (part) => parts.push(part))
      response.on('error', () => fail('net::ERR_CONTENT_LENGTH_MISMATCH'))
      response.on('end', () => {
        const text = Buffer.concat(parts).toString()
        end('success', { statusCode: response.statusCode, errMsg: 'ok', ...phone.resultOf(name, options, text, header) })
      })
    })
    send(request, sent.emit, fail)
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
 * `appId`: for the Referer. `logIn`: returns a code of WeChat, or rejects. `domains`: the origins on the mini-program's list,
 * if it has one. `referer`: instead of WeChat's. `routes`: another local port for an origin. `files`: the directory of wxfile://NAME. `headersWithUpload`:
 * some phones add undocumented headers to the result of uploadFile. `emitsHeaders`: whether onHeadersReceived works, which
 * needs base library 2.1.0. `readsSlices`: whether readFile accepts a position, which needs 2.10.0. `cased`: how the names
 * of headers are written. `keepsConnections`: whether requests use connections again. `storageFile`: where the storage is kept
 * beyond this process.
 */
function createWx(options = {}) {
  const phone = {
    appId: 'wx1234567890abcdef',
    logIn: async () => 'an invalid code',
    files: '',
    routes: {},
    headersWithUpload: false,
    emitsHeaders: true,
    readsSlices: true,
    cased: (name) => name,
    keepsConnections: false,
    storageFile: '',
    ...options,
    resultOf(name, options, text, header) {
      if (name === 'uploadFile') return { data: text, ...(phone.headersWithUpload ? { header } : {}) }
      let data = text
      if ((options.dataType || 'json') === 'json') {
        try {
          data = JSON.parse(text)
        } catch {
          // Then it stays a string.
        }
      }
      return { data, header, cookies: [] }
    },
  }
  const calls = []
  const requests = queue()
  const uploads = queue()
  phone.agent = phone.keepsConnections ? new http.Agent({ keepAlive: true }) : false
  const storage = openStorage(phone.storageFile)
  const realPath = (name) => (name.startsWith('wxfile://') ? path.join(phone.files, name.slice(9)) : name)
  const userData = 'wxfile://usr'

  const fileSystem = {
    getFileInfo(options) {
      const name = realPath(options.filePath)
      if (fs.existsSync(name)) settle(options, 'success', { size: fs.statSync(name).size, errMsg: 'getFileInfo:ok' })
      else settle(options, 'fail', { errMsg: `getFileInfo:fail no such file or directory "${options.filePath}"` })
    },
    writeFile(options) {
      calls.push({ api: 'writeFile', filePath: options.filePath })
      const { filePath, data, encoding = 'utf8' } = options
      if (!filePath.startsWith(`${userData}/`)) {
        return settle(options, 'fail', { errMsg: `writeFile:fail permission denied, open ${filePath}` })
      }
      fs.mkdirSync(realPath(userData), { recursive: true })
      const content = typeof data === 'string' ? Buffer.from(data, encoding) : bodyOf(data)
      fs.writeFile(realPath(filePath), content, () => settle(options, 'success', { errMsg: 'writeFile:ok' }))
    },
    unlink(options) {
      fs.unlink(realPath(options.filePath), (error) => {
        if (error) settle(options, 'fail', { errMsg: `unlink:fail no such file or directory, unlink ${options.filePath}` })
        else settle(options, 'success', { errMsg: 'unlink:ok' })
      })
    },
    readFile(options) {
      calls.push({ api: 'readFile', position: options.position, length: options.length })
      fs.promises.open(realPath(options.filePath)).then(async (file) => {
        const { size } = await file.stat()
        const { position = 0, length = size - position } = phone.readsSlices ? options : {}
        const data = new ArrayBuffer(Math.max(0, Math.min(length, size - position)))
        await file.read(new Uint8Array(data), 0, data.byteLength, position)
        await file.close()
        settle(options, 'success', { data, errMsg: 'readFile:ok' })
      }).catch(() => settle(options, 'fail', { errMsg: `readFile:fail no such file or directory, open ${options.filePath}` }))
    },
  }

  const wx = {
    request(options) {
      calls.push({ api: 'request', method: options.method || 'GET', url: options.url, header: { ...options.header } })
      const data = bodyOf(options.data)
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
      return startTask('uploadFile', phone, uploads, options, headers, (request, emit, fail) => {
        if (size < 0) return fail('file not found')
        void sendFile(request, head, name, tail, total, emit)
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
    getStorageInfoSync: () => ({ keys: [...storage.keys()], currentSize: 1, limitSize: 10240 }),
    removeStorage: promised((options) => {
      storage.delete(options.key)
      settle(options, 'success', { errMsg: 'removeStorage:ok' })
    }),
    setStorage: promised((options) => {
      storage.set(options.key, JSON.stringify(options.data))
      settle(options, 'success', { errMsg: 'setStorage:ok' })
    }),

    getFileSystemManager: () => fileSystem,
    env: { USER_DATA_PATH: userData },
  }
  return { wx, phone, calls, storage, fileSystem, requests, uploads }
}

/** Return a storage; changes are written to the file, if it has one. */
function openStorage(file) {
  const storage = new Map(file && fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : [])
  const write = () => file && fs.writeFileSync(file, JSON.stringify([...storage]))
  return Object.assign(storage, {
    set: (key, value) => (Map.prototype.set.call(storage, key, value), write(), storage),
    delete: (key) => (Map.prototype.delete.call(storage, key), write()),
  })
}

/** Return the body of a request: text, bytes, or JSON. */
function bodyOf(data = '') {
  if (Object.prototype.toString.call(data) === '[object ArrayBuffer]') return Buffer.from(data)
  return typeof data === 'string' ? data : JSON.stringify(data)
}

/** Return the headers in lower case, without the Referer, which WeChat sets. */
function lower(header = {}) {
  const entries = Object.entries(header).map(([name, value]) => [name.toLowerCase(), value])
  return Object.fromEntries(entries.filter(([name]) => name !== 'referer'))
}

/** Return the parts of a multipart body before and after the file. */
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

async function sendFile(request, head, name, tail, total, emit) {
  let sent = 0
  const write = (part) =>
    new Promise((resolve, reject) => {
      request.write(part, (error) => {
        if (error) return reject(error)
        sent += part.length
        emit({ progress: Math.floor((sent / total) * 100), totalBytesSent: sent, totalBytesExpectedToSend: total })
        resolve()
      })
    })
  try {
    await write(head)
    for await (const part of fs.createReadStream(name, { highWaterMark: CHUNK_BYTES })) await write(part)
    await write(tail)
    request.end()
  } catch {
    // The request emits the error.
  }
}

module.exports = { createWx }
