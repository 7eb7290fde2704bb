// Bundles src/ for mini-programs and for web pages: `node build.mjs [directory]`, by default next to this file.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { minify } from 'terser'

const here = dirname(fileURLToPath(import.meta.url))
const target = process.argv[2] || here
// The demo and the sample contain copies, so that they run from a fresh clone.
const page = process.argv[2] ? join(target, 'page') : join(here, '..', '..', 'signer', 'demo', 'page')
const sample = join(process.argv[2] || join(here, '..', 'sample'), 'miniprogram_npm', '@oss-signer', 'upload')

/** Builds an entry point. `host`: of which platform. Names that begin with _ are internal and get shortened. */
const bundle = async (source, host) => {
  const path = join(here, 'src', host ? `${host}-host.mjs` : 'host.mjs')
  const setup = (made) => made.onResolve({ filter: /^\.\/host\.mjs$/ }, () => ({ path }))
  const { outputFiles } = await build({
    absWorkingDir: here,
    entryPoints: [source],
    bundle: true,
    minify: true,
    mangleProps: /^_./,
    charset: 'utf8',
    format: 'esm',
    target: 'es2017',
    write: false,
    external: ['@tarojs/taro'],
    plugins: [{ name: 'host', setup }],
  })
  const compress = { passes: 4, pure_getters: true, unsafe: true, unsafe_arrows: true, unsafe_methods: true }
  return (await minify(outputFiles[0].text, { module: true, ecma: 2017, compress })).code
}

/** Smaller than esbuild's own CommonJS wrapper. */
const asCommonJs = (code) =>
  code.replace(/export\{(.*)\};$/, (_, names) =>
    names.split(',').map((each) => each.replace(/(\S+) as (\S+)/, 'exports.$2=$1')).join(';') + ';')

const write = (directory, name, code) => {
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, name), code + '\n')
}

for (const [source, name] of [['wx', 'index'], ['wx-multipart', 'multipart']]) {
  const code = asCommonJs(await bundle(`src/${source}.mjs`))
  write(join(target, 'miniprogram_dist'), `${name}.js`, code)
  write(sample, `${name}.js`, code)
}
write(target, 'my.js', asCommonJs(await bundle('src/my.mjs', 'my')))
for (const host of ['uni', 'taro']) {
  for (const name of [host, `${host}-multipart`]) write(target, `${name}.mjs`, await bundle(`src/${name}.mjs`, host))
}
write(target, 'h5.mjs', await bundle('src/h5.mjs'))
const h5 = await bundle('src/h5-multipart.mjs')
write(target, 'h5-multipart.mjs', h5)
write(page, 'upload_library.js', h5)
