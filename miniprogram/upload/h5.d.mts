import type { FileUploader, UploaderOptions } from './index.js'

export * from './index.js'

/** For web pages: `upload` takes a File or a Blob. `login` is not for them: there is no wx.login. */
export function createUploader(options: UploaderOptions): FileUploader<Blob>
