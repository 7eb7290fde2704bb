import type { FileUploader, UploaderOptions } from './index.js'

export * from './index.js'

/** For web pages: `upload` takes a File, a Blob, an ArrayBuffer, a data URL or a canvas. `login` is not for them: there is no wx.login. */
export function createUploader(options: UploaderOptions): FileUploader<Blob | ArrayBuffer | string | HTMLCanvasElement>
