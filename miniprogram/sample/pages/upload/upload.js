const { createCancel, createUploader } = require('@oss-signer/upload/multipart')
const config = require('../../config.js')
const { chooseChatFiles, chooseMedia, extension } = require('./choosing.js')
const { STATES, explanation, sizeText } = require('./words.js')

// Each setData crosses from one thread to another: ten a second are enough.
const REFRESH_MS = 100

Page({
  data: {
    files: [], // uploading or failed, as displayed: see `add`
    uploaded: [], // newest first
    total: { percent: 0, files: 0, finished: 0 },
    running: 0,
    retryable: 0,
  },

  onLoad() {
    this.files = []
    this.uploaded = []
    this.changed = new Set()
    this.chosen = new Map() // by file: the chosen file
    this.errors = new Map() // by file: the error of its last upload
    this.cancels = new Map() // by uploading file
    this.lastId = 0
    this.uploader = createUploader({
      ...config,
      onProgress: (total) => {
        this.total = total
        this.refresh()
      },
    })
  },

  onUnload() {
    this.uploader.abort()
    clearTimeout(this.timer)
    this.gone = true
  },

  chooseImages() {
    return this.choose(() => chooseMedia('image'))
  },

  chooseVideos() {
    return this.choose(() => chooseMedia('video'))
  },

  chooseChatFiles() {
    return this.choose(chooseChatFiles)
  },

  async choose(pick) {
    try {
      this.add(await pick())
    } catch ({ errMsg = '' }) {
      // A closed picker needs no message; other errors do, such as an API that the privacy guide does not name.
      if (!errMsg.includes('cancel')) wx.showModal({ title: '无法选择文件', content: errMsg, showCancel: false })
    }
  },

  add(chosen) {
    for (const each of chosen) {
      const file = {
        id: ++this.lastId,
        name: each.name,
        sizeText: sizeText(each.size),
        thumb: each.thumb,
        label: each.kind === 'video' ? '视频' : extension(each.path).toUpperCase() || '文件',
        percent: 0,
        state: 'queued',
        text: STATES.queued,
        retryable: false,
      }
      this.chosen.set(file, each)
      this.files.push(file)
      this.upload(file)
    }
    this.listChanged = true
    this.refresh()
  },

  async upload(file) {
    const cancel = createCancel()
    const { path, given, size } = this.chosen.get(file)
    const error = this.errors.get(file)
    this.cancels.set(file, cancel)
    this.errors.delete(file)
    this.show(file, { state: 'queued', text: STATES.queued, percent: 0 })
    wx.setKeepScreenOn({ keepScreenOn: true }) // WeChat ends uploads some seconds after it goes to the background
    try {
      const result = await this.uploader.upload(path, {
        filename: given,
        size,
        signal: cancel.signal,
        retryOf: error,
        onProgress: ({ percent }) => this.show(file, { percent }),
        onState: (state) => this.show(file, { state, text: STATES[state] }),
      })
      this.cancels.delete(file)
      this.store(file, result)
    } catch (reason) {
      this.cancels.delete(file)
      this.errors.set(file, reason)
      this.show(file, { state: 'failed', text: reason.message, retryable: reason.retryable || reason.code === 'unknown' })
    }
    if (!this.cancels.size) wx.setKeepScreenOn({ keepScreenOn: false })
  },

  store(file, { key, url }) {
    const { id, name, sizeText, thumb, label } = file
    this.uploaded.unshift({ id, name, sizeText, thumb, label, key, url })
    this.drop(file)
  },

  drop(file) {
    this.files = this.files.filter((each) => each !== file)
    this.chosen.delete(file)
    this.errors.delete(file)
    this.listChanged = true
    this.refresh()
  },

  cancel({ currentTarget }) {
    const cancel = this.cancels.get(this.find(currentTarget))
    if (cancel) cancel.abort()
  },

  cancelAll() {
    this.uploader.abort()
  },

  retry({ currentTarget }) {
    const file = this.find(currentTarget)
    const error = this.errors.get(file)
    if (!error) return
    if (error.code !== 'unknown') {
      this.upload(file)
      return
    }
    wx.showModal({
      title: '再传一次？',
      content: '这个文件可能已经上传成功，再传一次可能会多存一份。',
      success: ({ confirm }) => {
        if (!confirm) return
        this.errors.delete(file)
        this.upload(file)
      },
    })
  },

  retryAll() {
    for (const [file, error] of [...this.errors]) if (error.retryable) this.upload(file)
  },

  remove({ currentTarget }) {
    this.drop(this.find(currentTarget))
  },

  explain({ currentTarget }) {
    const error = this.errors.get(this.find(currentTarget))
    if (!error) return
    const content = explanation(error)
    wx.showModal({
      title: '上传失败',
      content,
      confirmText: '复制',
      success: ({ confirm }) => confirm && wx.setClipboardData({ data: content }),
    })
  },

  copyLink({ currentTarget }) {
    const { url } = this.uploaded.find(({ id }) => id === currentTarget.dataset.id)
    wx.setClipboardData({ data: url })
  },

  find({ dataset }) {
    return this.files.find(({ id }) => id === dataset.id)
  },

  show(file, part) {
    Object.assign(file, part)
    this.changed.add(file)
    this.refresh()
  },

  refresh() {
    if (this.timer || this.gone) return
    this.timer = setTimeout(() => {
      this.timer = 0
      this.setData(this.changes())
    }, REFRESH_MS)
  },

  /**
   * What the page does not show yet: the lists if they changed, else the changed files. Copies, because the framework may
   * keep the objects.
   */
  changes() {
    const retryable = [...this.errors.values()].filter((error) => error.retryable).length
    const changes = { running: this.cancels.size, retryable }
    if (this.total) changes.total = this.total
    if (this.listChanged) {
      changes.files = this.files.map((file) => ({ ...file }))
      changes.uploaded = [...this.uploaded]
    } else {
      this.files.forEach((file, index) => {
        if (this.changed.has(file)) changes[`files[${index}]`] = { ...file }
      })
    }
    this.listChanged = false
    this.changed.clear()
    return changes
  },
})
