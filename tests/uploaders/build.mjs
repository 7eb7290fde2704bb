// Bundles the pages of a directory, `NAME.entry.jsx`, into NAME.entry.js and NAME.entry.css there, with these packages.
// node build.mjs DIRECTORY PACKAGES
import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { compileScript, parse } from 'vue/compiler-sfc'

const here = dirname(fileURLToPath(import.meta.url))
const [directory, packages] = process.argv.slice(2)

const vue = {
  name: 'vue',
  setup({ onLoad }) {
    onLoad({ filter: /\.vue$/ }, ({ path }) => {
      const { descriptor } = parse(readFileSync(path, 'utf8'), { filename: path })
      return { contents: compileScript(descriptor, { id: path, inlineTemplate: true }).content, loader: 'js' }
    })
  },
}

await build({
  entryPoints: readdirSync(directory).filter((name) => name.includes('.entry.')).map((name) => join(directory, name)),
  outdir: directory,
  bundle: true,
  splitting: false,
  format: 'iife',
  jsx: 'automatic',
  target: 'chrome110',
  define: { 'process.env.NODE_ENV': '"production"', __VUE_OPTIONS_API__: 'true', __VUE_PROD_DEVTOOLS__: 'false' },
  loader: { '.woff2': 'empty', '.woff': 'empty', '.ttf': 'empty' },
  nodePaths: [join(packages, 'node_modules')],
  alias: { '@oss-signer/upload/h5': join(here, '../../miniprogram/upload/h5.mjs') },
  plugins: [vue],
})
