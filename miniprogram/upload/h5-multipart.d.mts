import type { MultipartFileUploader, MultipartUploaderOptions } from './multipart.js'

export * from './multipart.js'

/** For web pages: `upload` takes a File, a Blob, an ArrayBuffer, a data URL or a canvas. `login` is not for them: there is no wx.login. */
export function createUploader(options: MultipartUploaderOptions): MultipartFileUploader<Blob | ArrayBuffer | string | HTMLCanvasElement>
