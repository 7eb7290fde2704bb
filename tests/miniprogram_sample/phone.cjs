'use strict'
// The parts of `wx` that the pages need, except the network: pickers, clipboard, modals and screen.
const fs = require('node:fs')
const path = require('node:path')
const { createWx } = require('../miniprogram/wx.js')

const later = (options, kind, result) => setTimeout(() => options[kind] && options[kind](result), 0)

/** Return a promise when no callback is given. */
const promised = (api) => (options = {}) => {
  if (options.success || options.fail || options.complete) return void api(options)
  return new Promise((resolve, reject) => api({ ...options, success: resolve, fail: reject }))
}

/** What frameworks read at their start. */
const DEVICE = {
  SDKVersion: '3.10.0',
  brand: 'devtools',
  fontSizeSetting: 16,
  language: 'zh_CN',
  model: 'iPhone 15',
  pixelRatio: 2,
  platform: 'devtools',
  safeArea: { top: 0, left: 0, right: 375, bottom: 667, width: 375, height: 667 },
  screenHeight: 667,
  screenWidth: 375,
  statusBarHeight: 20,
  system: 'iOS 18.0',
  version: '8.0.60',
  windowHeight: 603,
  windowWidth: 375,
}

/**
 * `files`: the directory of the files that the user picks; temporary paths are wxfile://NAME. `picks`: the names that the
 * next pickers return; without one the user closes the picker. `answers`: true or false for the next modals.
 */
exports.createPhone = (parameters) => {
  const { wx, phone, calls } = createWx(parameters)
  const user = { picks: [], answers: [], clipboard: '', modals: [], screens: [] }
  const picker = (name, describe) =>
    promised((options) => {
      const names = user.picks.shift()
      if (!names) return later(options, 'fail', { errMsg: `${name}:fail cancel` })
      const tempFiles = names.slice(0, options.count).map((each) => describe(each, options))
      later(options, 'success', { tempFiles, tempFilePaths: tempFiles.map(({ path }) => path), errMsg: `${name}:ok` })
    })
  const size = (name) => fs.statSync(path.join(parameters.files, name)).size
  const temporary = (name) => `wxfile://${name}`
  Object.assign(wx, {
    chooseMedia: picker('chooseMedia', (name, { mediaType: [fileType] }) => ({
      tempFilePath: temporary(name),
      size: size(name),
      fileType,
      ...(fileType === 'video' ? { duration: 3, width: 640, height: 360, thumbTempFilePath: temporary('thumb.png') } : {}),
    })),
    chooseMessageFile: picker('chooseMessageFile', (name) => ({
      path: temporary(name),
      name,
      size: size(name),
      time: 1767225600,
      type: /\.(png|jpg)$/.test(name) ? 'image' : 'file',
    })),
    chooseImage: picker('chooseImage', (name) => ({ path: temporary(name), size: size(name) })),
    setClipboardData: promised((options) => {
      user.clipboard = options.data
      later(options, 'success', { errMsg: 'setClipboardData:ok' })
    }),
    showModal: promised((options) => {
      user.modals.push(options)
      const confirm = user.answers.shift() === true
      later(options, 'success', { confirm, cancel: !confirm, errMsg: 'showModal:ok' })
    }),
    showToast: promised((options) => later(options, 'success', { errMsg: 'showToast:ok' })),
    getSystemInfoSync: () => ({ ...DEVICE }),
    getDeviceInfo: () => ({ ...DEVICE }),
    getWindowInfo: () => ({ ...DEVICE }),
    getAppBaseInfo: () => ({ ...DEVICE }),
    getLaunchOptionsSync: () => ({ path: 'pages/index/index', query: {} }),
    getEnterOptionsSync: () => ({ path: 'pages/index/index', query: {} }),
    getAccountInfoSync: () => ({ miniProgram: { appId: parameters.appId || 'wx1234567890abcdef', envVersion: 'develop' } }),
    canIUse: () => true,
    nextTick: (then) => setTimeout(then, 0),
    setKeepScreenOn: promised((options) => {
      user.screens.push(options.keepScreenOn)
      later(options, 'success', { errMsg: 'setKeepScreenOn:ok' })
    }),
  })
  return { wx, phone, calls, user }
}
