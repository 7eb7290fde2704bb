// The built file, as CommonJS in a context without the APIs of browsers and Node.js, like in a mini-program.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import vm from 'node:vm'
import { createStub } from './multipart_stub.mjs'
import { OSS, SIGNER, contentOf, createProxy, failureOf, phone, photo, download, wechatCode } from './setup.mjs'

const acorn = createRequire(new URL('../../miniprogram/upload/package.json', import.meta.url))('acorn')
const [file, multipartFile] = ['index', 'multipart'].map((name) => new URL(`../../miniprogram/upload/miniprogram_dist/${name}.js`, import.meta.url))
const packageFile = new URL('../../miniprogram/upload/package.json', import.meta.url)

/** Load a built file with the globals of a mini-program. */
function load(wx, file) {
  const exports = {}
  const context = vm.createContext({ wx, module: { exports }, exports, setTimeout, clearTimeout, console })
  vm.runInContext(readFileSync(file, 'utf8'), context, { filename: file.pathname })
  assert.equal(vm.runInContext('typeof URL + typeof fetch + typeof AbortController + typeof performance', context), 'undefined'.repeat(4))
  return exports
}

test('it uploads over a network that drops connections', async () => {
  const proxy = await createProxy(Number(new URL(OSS).port))
  const device = phone({ logIn: wechatCode, routes: { [new URL(OSS).origin]: proxy.port } })
  const { createUploader, createCancel } = load(device.wx, file)
  const app = createUploader({ endpoint: `${SIGNER}/`, appId: 'passing', retryDelayMs: 4 })
  const cancel = createCancel()
  cancel.abort()
  assert.equal((await failureOf(app.upload(photo(), { signal: cancel.signal }))).code, 'cancelled')
  proxy.next('reset', 'lose', 'half')
  const paths = Array.from({ length: 6 }, () => photo(undefined, 50_000))
  const results = await Promise.all(paths.map((path) => app.upload(path)))
  for (const [index, result] of results.entries()) assert.deepEqual(await download(result.url), contentOf(paths[index]))
  assert.deepEqual([device.logins(), device.sends()], [1, 9])
  await proxy.close()
})

test('with multipart uploads, it uploads in parts', async () => {
  const stub = await createStub()
  const { createUploader, createPause } = load(phone().wx, multipartFile)
  assert.equal(createPause().paused, false)
  stub.plan('put', 'reset', undefined, 'lose')
  const path = photo(undefined, 9999)
  const { key } = await createUploader({ endpoint: stub.url, appId: 'videos', retryDelayMs: 4, multipartThreshold: 5000 }).upload(path)
  assert.deepEqual(stub.objects.get(key), contentOf(path))
  await stub.close()
})

test('it uses only syntax and functions of the base library', () => {
  for (const each of [file, multipartFile]) {
    const text = readFileSync(each, 'utf8')
    acorn.parse(text, { ecmaVersion: 2017 })
    const later = /\.(finally|flat|flatMap|replaceAll|at|matchAll|allSettled|any)\(|fromEntries|globalThis/.exec(text)
    assert.equal(later, null)
  }
})

test('package.json names the built file', () => {
  const { miniprogram, main, dependencies, types } = JSON.parse(readFileSync(packageFile, 'utf8'))
  assert.deepEqual([miniprogram, main, types, dependencies], ['miniprogram_dist', 'miniprogram_dist/index.js', 'index.d.ts', undefined])
})
