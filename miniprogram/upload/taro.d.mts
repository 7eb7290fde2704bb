import type { FileSource, FileUploader, UploaderOptions } from './index.js'

export * from './index.js'

/** For Taro: `upload` takes a temporary path or data; in web pages also a File or a Blob. */
export function createUploader(options: UploaderOptions): FileUploader<FileSource | Blob>
