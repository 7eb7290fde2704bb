// A page that uses the declarations of the library together with WeChat's; lines that must not compile are marked.
import { createCancel, createUploader, type Progress, type UploadError, type UploadResult } from '@oss-signer/upload'
import { createPause, createUploader as createVideoUploader, type PartEvent } from '@oss-signer/upload/multipart'

const uploader = createUploader({
  endpoint: 'https://sign.example.com',
  appId: 'wx1234567890abcdef',
  concurrency: 4,
  login: true,
  onProgress: ({ percent, finished, files }) => console.log(percent, finished, files),
})

Page({
  data: { percent: 0, url: '' },
  cancel: createCancel(),

  async choose() {
    const { tempFiles } = await wx.chooseMedia({ mediaType: ['image'] })
    for (const { tempFilePath, size } of tempFiles) {
      const result: UploadResult = await uploader.upload(tempFilePath, {
        size,
        filename: 'photo.jpg',
        signal: this.cancel.signal,
        onProgress: (progress: Progress) => this.setData({ percent: progress.percent }),
        onState: (state, about) => {
          if (state === 'waiting') console.log(about.message, about.ossCode)
          if (state === 'uploading') console.log(about.expires_at)
        },
      })
      this.setData({ url: result.url })
      const key: string = result.key
      const etag: string | undefined = result.etag
      console.log(key, etag)
    }
  },

  failed(error: UploadError) {
    wx.showToast({ title: error.message, icon: 'none' })
    if (error.retryable) void uploader.upload('wxfile://a.jpg', { retryOf: error })
  },
})

// @ts-expect-error: a path, not a file of a browser
void uploader.upload({ size: 1 })
// @ts-expect-error: an app has an id
createUploader({ endpoint: 'https://sign.example.com' })
// @ts-expect-error: no such option
void uploader.upload('wxfile://a.jpg', { fileName: 'a.jpg' })
// @ts-expect-error: forms cannot be paused
void uploader.upload('wxfile://a.jpg', { pause: createPause() })

const videos = createVideoUploader({ endpoint: 'https://sign.example.com', appId: 'videos', multipartThreshold: 5e6 })
const pause = createPause()
void videos.upload('wxfile://a.mp4', {
  pause,
  onPart: ({ number, count, state }: PartEvent) => console.log(number / count, state === 'stored'),
  onState: (state, about) => {
    if (state === 'paused') pause.resume()
    if (state === 'uploading') console.log('part_count' in about ? about.part_count : about.max_size)
    if (state === 'waiting') console.log(about.message)
  },
})
// @ts-expect-error: only pause() changes it
pause.paused = true
