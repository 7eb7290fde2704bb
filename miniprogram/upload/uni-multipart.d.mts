import type { FileSource, MultipartFileUploader, MultipartUploaderOptions } from './multipart.js'

export * from './multipart.js'

/** For uni-app: `upload` takes a temporary path or data; in web pages also a File or a Blob. */
export function createUploader(options: MultipartUploaderOptions): MultipartFileUploader<FileSource | Blob>
