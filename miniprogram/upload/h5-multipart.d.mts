import type { MultipartFileUploader, MultipartUploaderOptions } from './multipart.js'

export * from './multipart.js'

/** For web pages: `upload` takes a File or a Blob. `login` is not for them: there is no wx.login. */
export function createUploader(options: MultipartUploaderOptions): MultipartFileUploader<Blob>
