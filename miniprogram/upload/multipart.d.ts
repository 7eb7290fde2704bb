import type { FileSource, Form, UploadError, UploadOptions, UploadResult, UploaderOptions } from './index.js'

export * from './index.js'

export interface MultipartUploaderOptions extends UploaderOptions {
  /**
   * From this size in bytes on, files are uploaded in parts, if the app allows it. By default the app's own threshold,
   * which each form of the app contains; before the first form 20 MiB. A file that is too large for a form is uploaded in
   * parts too, but not below a threshold that is given here. Infinity: never.
   */
  multipartThreshold?: number | undefined
}

/** Pauses uploads: `upload(file, { pause })`. The requests on the way end; `resume` sends only their parts again. */
export interface Pause {
  readonly paused: boolean
  pause(): void
  resume(): void
}

/** One object can pause several uploads. A file that is sent as a form ignores it. */
export function createPause(): Pause

/** A multipart upload that has started (docs/http.md, POST /v1/apps/{app_id}/multipart). */
export interface MultipartUpload {
  upload: string
  key: string
  part_size: number
  part_count: number
  expires_at: string
}

export interface PartEvent {
  /** From 1 to `count`. */
  number: number
  count: number
  /** `waiting`: its request failed or was paused, and it is sent again. */
  state: 'sending' | 'stored' | 'waiting'
}

export interface MultipartUploadOptions extends Omit<UploadOptions, 'onState'> {
  pause?: Pause | undefined
  /** Called for each part, also for the parts that an earlier upload has stored. */
  onPart?: (event: PartEvent) => void
  /** As in `UploadOptions`; `uploading` with the multipart upload, and `paused`. */
  onState?: (
    ...args:
      | ['queued', undefined]
      | ['signing', undefined]
      | ['uploading', Form | MultipartUpload]
      | ['waiting', UploadError]
      | ['paused', undefined]
  ) => void
}

export interface MultipartFileUploader<File> {
  /** Rejects with `UploadError`. */
  upload(file: File, options?: MultipartUploadOptions): Promise<UploadResult>
  /** Cancels all files, and deletes the parts that they have stored. */
  abort(): void
}

/** Uploads large files in parts, and others as forms. */
export function createUploader(options: MultipartUploaderOptions): MultipartFileUploader<FileSource>
