// A `my` that behaves like Alipay's or DingTalk's, and a `tt` that behaves like Douyin's, over real HTTP.
// Sources: https://opendocs.alipay.com/mini/api/owycmh (my.request), .../kmq4hc (my.uploadFile), .../openapi-authorize
// (my.getAuthCode), .../0226oc (files), https://help.aliyun.com/document_detail/67569.html (my.getFileInfo), .../67556.html
// (numbers of errors),
// https://developer.open-douyin.com/docs/resource/zh-CN/mini-app/develop/api/network/http/tt-request
'use strict'

const { createWx } = require('./wx.js')

const ALIPAY_ERRORS = { request: { 'url not in domain list': 11, timeout: 13 }, uploadFile: { 'file not found': 11, 'url not in domain list': 13 } }
const KINDS = ['image', 'video', 'audio']

/**
 * Return a phone with Alipay; `isDingTalk`: statuses are strings, requests have Alipay's earlier name, and there are no
 * tasks and no file system. `failsStatuses`: as in earlier versions, my.request fails when a response has the status of an
 * error.
 */
exports.createMy = (options = {}) => {
  const { isDingTalk = false, failsStatuses = false, appId = '2021000000000001' } = options
  const made = createWx({ ...options, referer: `https://${appId}.hybrid.alipay-eco.com/${appId}/0.2.1/index.html#pages/index` })
  const { wx, calls } = made

  const failing = (name, { fail }) => ({ errMsg }) => {
    const message = errMsg.replace(/^\w+:fail /, '')
    fail({ error: (ALIPAY_ERRORS[name] || {})[message] || 12, errorMessage: message.replace(/[a-z]/g, '?') })
  }
  const statusOf = (status) => (isDingTalk ? String(status) : status)

  const request = (own) => {
    const { headers: header, dataType } = own
    return wx.request({
      ...own,
      header,
      dataType,
      fail: failing('request', own),
      success: ({ statusCode, data, header: headers }) => {
        if (failsStatuses && statusCode >= 400) own.fail({ error: 19, errorMessage: 'http status error', status: statusCode, data, headers })
        else own.success({ status: statusOf(statusCode), data, headers })
      },
    })
  }

  const uploadFile = (own) => {
    const { url, filePath, fileName, fileType, formData, hideLoading } = own
    if (!fileName || !KINDS.includes(fileType)) return setTimeout(() => own.fail({ error: 2, errorMessage: 'invalid parameter' }))
    calls.push({ api: 'my.uploadFile', fileType, hideLoading })
    return wx.uploadFile({
      ...{ url, filePath, formData, name: fileName },
      fail: failing('uploadFile', own),
      success: ({ data, statusCode }) => own.success({ data, statusCode: statusOf(statusCode), header: {} }),
    })
  }

  const my = {
    request,
    uploadFile: isDingTalk ? (own) => void uploadFile(own) : uploadFile,
    getAuthCode: (own) =>
      wx.login({ success: ({ code }) => own.success({ authCode: code, authSuccessScopes: [own.scopes] }), fail: failing('login', own) }),
    getStorageSync: ({ key }) => ({ data: wx.getStorageSync(key) || null }),
    setStorage: wx.setStorage,
    getFileInfo: (own) => made.fileSystem.getFileInfo({ ...own, filePath: own.apFilePath, fail: failing('getFileInfo', own) }),
    getFileSystemManager: () => made.fileSystem,
    env: wx.env,
  }
  if (isDingTalk) {
    delete my.getFileSystemManager
    delete my.request
    my.httpRequest = request
  }
  return { ...made, my }
}

/** Return a phone with Douyin: its calls are WeChat's, but an upload has no event for headers. */
exports.createTt = (options = {}) => {
  const made = createWx({ ...options, emitsHeaders: false, referer: 'https://tmaservice.developer.toutiao.com?appid=tt07e3715e98c9aac0&version=1.0.0' })
  const { uploadFile, ...calls } = made.wx
  const tt = {
    ...calls,
    uploadFile(own) {
      const { abort, onProgressUpdate } = uploadFile(own)
      return { abort, onProgressUpdate }
    },
  }
  return { ...made, tt }
}
