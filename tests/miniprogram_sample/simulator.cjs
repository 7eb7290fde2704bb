'use strict'
// Runs the files of a mini-program (app.json, JavaScript, WXML and WXSS) in WeChat's page framework.
//
// That is glass-easel with its mini-program adapter and its template compiler: the component framework that WeChat ships
// (https://developers.weixin.qq.com/miniprogram/dev/framework/custom-component/glass-easel/introduction.html), published
// by WeChat. It has a Page constructor, runs compiled WXML, and handles taps of the document. miniprogram-simulate is
// WeChat's too, but for single components: it has no pages, and its built-in components are empty. Taro's H5 runtime runs
// only code that was written for Taro. The document is jsdom's, so that `wx` can use sockets and files.
const fs = require('node:fs')
const path = require('node:path')
const { JSDOM } = require('jsdom')
const { TmplGroup } = require('glass-easel-template-compiler')
const { COMPONENTS, STYLE } = require('./built_in.cjs')

const WIDTH_PX = 375
const RPX_ACROSS = 750

const dom = new JSDOM('<!doctype html><html><head></head><body></body></html>', { pretendToBeVisual: true })
// The framework reads these from the global object, as in a browser.
for (const name of ['window', 'document', 'Event', 'MutationObserver', 'HTMLElement', 'Element', 'Node']) {
  globalThis[name] = name === 'window' ? dom.window : dom.window[name]
}

const { MiniProgramEnv, glassEasel } = require('glass-easel-miniprogram-adapter')

const read = (file) => fs.readFileSync(file, 'utf8')
const readJson = (file) => JSON.parse(read(file))

/** Compile WXML, and the templates and scripts of a project that it may import; the compiler's warnings are errors. */
const compile = (name, source, root) => {
  const group = new TmplGroup()
  for (const file of root ? fs.readdirSync(root, { recursive: true }) : []) {
    const { dir, name: base, ext } = path.parse(file)
    if (ext === '.wxs') group.addScript(path.join(dir, base), read(path.join(root, file)))
    else if (ext === '.wxml' && path.join(dir, base) !== name) group.addTmpl(path.join(dir, base), read(path.join(root, file)))
  }
  const warnings = group.addTmpl(name, source)
  if (warnings.length) throw new Error(`${name}.wxml: ${JSON.stringify(warnings)}`)
  const groups = new Function(`return ${group.getTmplGenObjectGroups()}`)()
  group.free()
  return { groupList: groups, content: groups[name] }
}

/** Return WXSS as CSS: `rpx` is a 750th of the screen's width, and `page` is the body. */
const css = (wxss) =>
  wxss
    .replace(/(-?[\d.]+)rpx\b/g, (_, number) => `${(number * WIDTH_PX) / RPX_ACROSS}px`)
    .replace(/(^|[\s,}])page(?=\s*[{,])/g, '$1body')

/** Return WeChat's `require`: relative paths, or packages of miniprogram_npm and their files. Files run once, without the globals of Node.js. */
const createRequire = (root, globals) => {
  const modules = new Map()
  const load = (file) => {
    if (modules.has(file)) return modules.get(file).exports
    const module = { exports: {} }
    modules.set(file, module)
    const names = { module, exports: module.exports, require: requireFrom(path.dirname(file)), ...globals() }
    for (const hidden of ['process', 'Buffer', 'globalThis', 'window', 'document', 'fetch', 'AbortController']) {
      names[hidden] = undefined
    }
    new Function(...Object.keys(names), `'use strict';${read(file)}\n//# sourceURL=${file}`)(...Object.values(names))
    return module.exports
  }
  const requireFrom = (directory) => (name) => {
    if (/^\.{0,2}\//.test(name)) {
      const file = name[0] === '/' ? path.join(root, name) : path.resolve(directory, name)
      return load(fs.existsSync(file) ? file : `${file}.js`)
    }
    for (let at = directory; at.startsWith(root); at = path.dirname(at)) {
      const file = path.join(at, 'miniprogram_npm', name)
      for (const each of [`${file}.js`, path.join(file, 'index.js')]) if (fs.existsSync(each)) return load(each)
    }
    throw new Error(`module '${name}' is not defined`)
  }
  return load
}

/** Return the document; the node of `<image>` is a wx-image, because HTML has an image, a text and a progress too. */
const backendContext = () => {
  const context = new glassEasel.CurrentWindowBackendContext()
  context.onEvent((target, type, detail, options) => glassEasel.triggerEvent(target, type, detail, options))
  context.document = {
    createElement: (name) => document.createElement(name in COMPONENTS ? `wx-${name}` : name),
    createTextNode: (content) => document.createTextNode(content),
    createDocumentFragment: () => document.createDocumentFragment(),
  }
  return context
}

/** Check that every `@name` of app.json's window is in both themes. */
const checkTheme = (root, config) => {
  if (!config.darkmode) return
  const themes = readJson(path.join(root, config.themeLocation))
  for (const value of Object.values(config.window)) {
    for (const theme of ['light', 'dark']) {
      if (value[0] === '@' && !themes[theme][value.slice(1)]) throw new Error(`theme.json: ${theme} has no ${value}`)
    }
  }
}

/** Launch the mini-program in `root` at its first page, with this `wx`. */
exports.launch = (root, wx) => {
  const config = readJson(path.join(root, 'app.json'))
  checkTheme(root, config)
  const environment = new MiniProgramEnv()
  const space = environment.createCodeSpace('', true)
  // Listeners may be methods that a page gets while it runs.
  space.getComponentSpace().updateComponentOptions({ useMethodCallerListeners: true })
  const builtIn = environment.createCodeSpace('built-in', true)
  for (const [name, { template, ...definition }] of Object.entries(COMPONENTS)) {
    builtIn.addCompiledTemplate(name, compile(name, template))
    const component = builtIn.component(name).definition(definition).register()
    space.getComponentSpace().setGlobalUsingComponent(name, component._$)
  }

  let app
  let own = {}
  // A module that was loaded before the page calls the constructors of the page.
  const later = (name) => (definition) => own[name](definition)
  const global = {} // WeChat has one, which frameworks use
  const globals = () => ({
    wx,
    global,
    App: (definition) => (app = definition),
    getApp: () => app,
    getCurrentPages: () => [page],
    ...Object.fromEntries(['Page', 'Component', 'Behavior'].map((name) => [name, later(name)])),
  })
  const load = createRequire(root, globals)
  load(path.join(root, 'app.js'))
  if (app.onLaunch) app.onLaunch({})

  const [route] = config.pages
  const file = path.join(root, route)
  const backend = environment.associateBackend(backendContext())
  const styled = (name, source) => {
    space.addStyleSheet(name, `${name}.css`)
    backend.registerStyleSheetContent(`${name}.css`, source)
  }
  const appStyle = path.join(root, 'app.wxss')
  styled('app', fs.existsSync(appStyle) ? `${STYLE}\n${css(read(appStyle))}` : STYLE)
  if (fs.existsSync(`${file}.wxss`)) styled(route, css(read(`${file}.wxss`)))
  space.addComponentStaticConfig(route, readJson(`${file}.json`))
  space.addCompiledTemplate(route, compile(route, read(`${file}.wxml`), root))
  space.componentEnv(route, (constructors) => {
    own = constructors
    load(`${file}.js`)
  })

  const rendered = backend.createRoot('page', space, route)
  const page = rendered.get()
  const placeholder = document.createElement('div')
  document.body.appendChild(placeholder)
  if (page.onLoad) page.onLoad({})
  rendered.attach(document.body, placeholder)
  if (page.onShow) page.onShow()
  if (page.onReady) page.onReady()

  return {
    page,
    document,
    /** Tap a node. */
    tap(node) {
      for (const type of ['mousedown', 'mouseup']) node.dispatchEvent(new dom.window.MouseEvent(type, { bubbles: true }))
    },
    /** Return the page's HTML. */
    html: () => dom.serialize(),
    close() {
      if (page.onUnload) page.onUnload()
      rendered.release()
      dom.window.close()
    },
  }
}
