import type { FileUploader, UploaderOptions } from './index'

export * from './index'

/** For web pages: `upload` takes a File or a Blob. `login` is not for them: there is no wx.login. */
export function createUploader(options: UploaderOptions): FileUploader<Blob>
