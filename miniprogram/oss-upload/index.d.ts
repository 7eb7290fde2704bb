/**
 * What went wrong. The signer's own codes come as they are (docs/http.md), such as `too_large`, `unsupported_type`,
 * `unauthenticated`, `rate_limited`, `forbidden`, `unknown_app`. The library's own:
 *
 * - `cancelled`: by the signal or by `abort()`
 * - `network`, `timeout`: no answer; tried again first
 * - `server`: an answer of 5xx, or one that neither the signer nor OSS gives; tried again first
 * - `domain`: the address is not on the mini-program's list of allowed domains
 * - `file`: the file cannot be read
 * - `login`: wx.login failed; tried again first
 * - `too_large`, `too_small`: what the form in hand or OSS says of the file
 * - `expired`: OSS says that the form or its token is over, and said so of a new form too
 * - `exists`: there is an object of that name already
 * - `unknown`: an earlier answer was lost, its form is over and a new one has another key: the file may have arrived,
 *   at `key`. To upload it again is for the user to decide: it might then be there twice.
 * - `refused`: OSS or the signer refuses for another reason; `ossCode` or `detail` says which
 */
export interface UploadError extends Error {
  code: string
  /** For the user, in Chinese. */
  message: string
  /** For whoever looks into it: what the signer, OSS or WeChat said, in their words. */
  detail: string
  /** Whether the same upload may work later. */
  retryable: boolean
  /** The HTTP status, when there was an answer. */
  status?: number
  /** OSS's own error code, such as AccessDenied. */
  ossCode?: string
  /** OSS's exact error code, such as 0006-00000213. */
  ec?: string
  /** Of OSS or of the signer: what their operators look for in the logs. */
  requestId?: string
  /** How long the signer or OSS asks to wait. */
  retryAfterSeconds?: number
  /** The object key that was tried. */
  key?: string
}

export interface Progress {
  /** Bytes of the file that were sent; of all files for the uploader's progress. Never less than before. */
  loaded: number
  total: number
  /** A whole number; 100 only when OSS has the file. Never less than before. */
  percent: number
}

/** Of all files since the uploader was last idle. One that failed counts as done here: nothing more comes of it. */
export interface TotalProgress extends Progress {
  /** How many files there are, and how many of them are over, well or not. */
  files: number
  finished: number
}

export interface UploadResult {
  /** The object's key in the bucket. */
  key: string
  /** The object's address; for a private bucket ask the signer for a download. */
  url: string
  /** Without quotes; undefined where the answer did not show it. */
  etag?: string
  /**
   * OSS's answer: 200, 201 or 204; 203 when the file is stored and the app's upload callback failed; 409 when it was
   * stored by an earlier try whose answer was lost.
   */
  status: number
  /** The answer's body: with an upload callback what the app's server said. */
  body: string
}

/** The signer's answer (docs/http.md, POST /v1/apps/{app_id}/uploads). */
export interface Form {
  url: string
  method: 'POST'
  fields: Record<string, string>
  file_field: string
  key?: string
  key_prefix?: string
  expires_at: string
  max_size: number
}

/** The part of an AbortSignal that is used, since mini-programs have none. */
export interface CancelSignal {
  readonly aborted: boolean
  addEventListener(type: 'abort', listener: () => void): void
  removeEventListener(type: 'abort', listener: () => void): void
}

export interface Cancel {
  readonly signal: CancelSignal
  abort(): void
}

/** What AbortController is in a browser: `upload(path, { signal: cancel.signal })`, then `cancel.abort()`. */
export function createCancel(): Cancel

export interface UploaderOptions {
  /** The signer's address, such as https://sign.example.com. */
  endpoint: string
  /** The app in the signer's definitions: usually the mini-program's own app id. */
  appId: string
  /** How many files are under way at once: 1 to 10, 4 if not given. WeChat allows 10. */
  concurrency?: number | undefined
  /** Whether wx.login may be called when the signer answers 401: true if not given. */
  login?: boolean | undefined
  /**
   * Headers for the signer, such as your own login's Authorization (then say `login: false`). Asked for each form;
   * `refused`: those before were answered with 401.
   */
  headers?: (refused?: boolean) => Record<string, string> | Promise<Record<string, string>>
  /** How often one file is tried again: 5 if not given. */
  retries?: number
  /**
   * The pause before the first of these, about: 500 if not given. It doubles each time, up to 10 s. A Retry-After is
   * kept to if it asks for a minute at most; if for more, the upload fails at once.
   */
  retryDelayMs?: number
  /** How long the signer may take to answer: 15000 if not given; OSS may take 4 times that, and 50 s for each MB. */
  timeoutMs?: number
  /** Progress of all files together. */
  onProgress?: (progress: TotalProgress) => void
}

export interface UploadOptions {
  /** The file's own name. It becomes part of the key, and tells the type if `contentType` does not. */
  filename?: string | undefined
  /** Such as image/jpeg; if not given, by the name's extension. */
  contentType?: string | undefined
  /** In bytes; looked up if not given. */
  size?: number | undefined
  onProgress?: (progress: Progress) => void
  /** In the queue; asking for a form; being sent, with that form; waiting to be tried again, for that reason. */
  onState?: (
    ...args: ['queued', undefined] | ['signing', undefined] | ['uploading', Form] | ['waiting', UploadError]
  ) => void
  signal?: CancelSignal | undefined
  /** Variables of the app's upload callback. */
  vars?: Record<string, string> | undefined
  /** The object's metadata, for names that the app takes. */
  meta?: Record<string, string> | undefined
  /**
   * The error of an earlier upload of this very file: it goes to the same key, and is not stored twice. But for
   * `unknown`, where it gets a new one.
   */
  retryOf?: unknown
}

export interface FileUploader<File> {
  /** Rejects with `UploadError`. */
  upload(file: File, options?: UploadOptions): Promise<UploadResult>
  /** Cancels all files. */
  abort(): void
}

/** `upload` takes a path of wx.chooseMedia, wx.chooseMessageFile and the like. */
export type Uploader = FileUploader<string>

export function createUploader(options: UploaderOptions): Uploader
