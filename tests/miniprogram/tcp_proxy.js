// A TCP proxy that disturbs connections as planned, like a bad network.
'use strict'

const net = require('node:net')

/**
 * `proxy.next(...plans)` plans the next connections; later ones are not disturbed.
 * - 'reset': dropped when the first bytes arrive
 * - 'half': dropped after 20 KB
 * - 'lose': the request is forwarded, and the connection is dropped when the response arrives
 * - 'stall': nothing is forwarded until `proxy.resume()`
 * - {response}: this text is the response to the whole request
 * - {adds}: these header lines are added to the response
 * `seen` is the number of connections.
 */
function createProxy(targetPort) {
  const plans = []
  const stalled = new Map()
  const sockets = new Set()
  const proxy = { seen: 0, port: 0 }
  const server = net.createServer((client) => {
    proxy.seen += 1
    const plan = plans.shift()
    const upstream = net.connect(targetPort, '127.0.0.1')
    const drop = () => {
      client.resetAndDestroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', drop)
      socket.on('close', () => sockets.delete(socket))
    }
    let received = 0
    client.on('data', (part) => {
      received += part.length
      if (plan && plan.response) return void (ended(received, part, client) && client.end(plan.response))
      if (plan === 'reset' || (plan === 'half' && received > 20000)) return drop()
      if (stalled.has(client)) return void stalled.get(client).push(part)
      upstream.write(part)
    })
    let responded = false
    upstream.on('data', (part) => {
      if (plan === 'lose') return drop()
      const adds = !responded && plan && plan.adds
      responded = true
      client.write(adds ? Buffer.from(part.toString('latin1').replace('\r\n', `\r\n${adds}\r\n`), 'latin1') : part)
    })
    client.on('end', () => upstream.end())
    upstream.on('end', () => client.end())
    if (plan === 'stall') {
      stalled.set(client, [])
      client.on('close', () => stalled.delete(client))
    }
  })
  proxy.next = (...more) => plans.push(...more)
  proxy.resume = () => {
    for (const [client, parts] of stalled) {
      stalled.delete(client)
      for (const part of parts) client.emit('data', part)
    }
  }
  proxy.stalled = () => stalled.size
  proxy.close = () => {
    sockets.forEach((socket) => socket.destroy())
    return new Promise((resolve) => server.close(resolve))
  }
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      proxy.port = server.address().port
      resolve(proxy)
    })
  })
}

/** Return whether the request is complete, by its Content-Length. */
function ended(received, part, client) {
  client.begun = client.begun || part.toString('latin1')
  const length = /content-length: (\d+)/i.exec(client.begun)
  return received >= client.begun.indexOf('\r\n\r\n') + 4 + Number(length[1])
}

module.exports = { createProxy }
