/**
 * An error of an upload. Codes of the signer are passed on (docs/http.md), such as `too_large`, `unsupported_type`,
 * `unauthenticated`, `rate_limited`, `forbidden`, `unknown_app`; and `quota_exceeded`: the file has more bytes than the
 * caller or the app has left, and `retryAfterSeconds` is the time until it is accepted. Codes of the library:
 *
 * - `cancelled`: cancelled by the signal or by `abort()`
 * - `network`, `timeout`: no response, after all retries
 * - `server`: 5xx, or a response of neither the signer nor OSS, after all retries
 * - `domain`: the address is not on the mini-program's list of allowed domains
 * - `file`: the file cannot be read
 * - `login`: wx.login failed, after all retries; that of another platform too
 * - `too_large`, `too_small`: the file breaks the limits of the form or of OSS
 * - `expired`: the form or its token has expired, and so has a new form; of a part, several new signatures
 * - `exists`: an object with this key already exists
 * - `unknown`: an earlier response was lost, its form has expired and a new one has another key: the file may be stored
 *   at `key`. The user must decide whether to upload it again: it may then be stored twice.
 * - `endpoint`: OSS does not serve this account at the bucket's default domain (PublicEndpointForbidden): the app needs a
 *   `domain` in the signer's definitions
 * - `upload_gone`: OSS has deleted the parts, and those of a new upload too
 * - `refused`: OSS or the signer refused for another reason, given in `ossCode` or `detail`
 */
export interface UploadError extends Error {
  code: string
  /** For the user, in Chinese. */
  message: string
  /** For debugging: the message of the signer, OSS or WeChat. */
  detail: string
  /** Whether the same upload may succeed later. */
  retryable: boolean
  /** The HTTP status, if there was a response. */
  status?: number
  /** OSS's own error code, such as AccessDenied. */
  ossCode?: string
  /** OSS's exact error code, such as 0006-00000213. */
  ec?: string
  /** The request id of OSS or of the signer, for their logs. */
  requestId?: string
  /** The Retry-After of the signer or OSS. */
  retryAfterSeconds?: number
  /** The object key of the attempt. */
  key?: string
}

export interface Progress {
  /** Sent bytes, of the file or of all files. Never decreases. */
  loaded: number
  total: number
  /** A whole number; 100 only when OSS has stored the file. Never decreases. */
  percent: number
}

/** The progress of all files since the uploader was last idle. A failed file counts as finished. */
export interface TotalProgress extends Progress {
  /** The number of files, and how many of them have finished, stored or failed. */
  files: number
  finished: number
}

export interface UploadResult {
  /** The object key. */
  key: string
  /** The object's URL. For a private bucket, request a download from the signer. */
  url: string
  /** Without quotes; undefined if the response did not contain it. */
  etag?: string
  /**
   * The status of OSS: 200, 201 or 204; 203 if the file is stored but the upload callback failed; 409 if an earlier
   * attempt stored it and its response was lost.
   */
  status: number
  /** The response body; with an upload callback, the response of the app's server. */
  body: string
}

/** The signer's response (docs/http.md, POST /v1/apps/{app_id}/uploads). */
export interface Form {
  url: string
  method: 'POST'
  fields: Record<string, string>
  file_field: string
  key?: string
  key_prefix?: string
  expires_at: string
  max_size: number
  /** Only of apps with multipart uploads: from this size in bytes on, use them. */
  multipart_threshold?: number
}

/** The part of AbortSignal that the library uses; mini-programs have no AbortSignal. */
export interface CancelSignal {
  readonly aborted: boolean
  addEventListener(type: 'abort', listener: () => void): void
  removeEventListener(type: 'abort', listener: () => void): void
}

export interface Cancel {
  readonly signal: CancelSignal
  abort(): void
}

/** The AbortController of mini-programs: `upload(path, { signal: cancel.signal })`, then `cancel.abort()`. */
export function createCancel(): Cancel

export interface UploaderOptions {
  /** The signer's URL, such as https://sign.example.com. */
  endpoint: string
  /** The app's id in the signer's definitions, usually the mini-program's app id. */
  appId: string
  /**
   * The object with the calls of a platform that has the same ones as WeChat: `tt` (Douyin), `ks` (Kuaishou), `qq` (QQ) or
   * `swan` (Baidu); by default `wx`. Other platforms have entry points of their own.
   */
  platform?: object | undefined
  /** The number of concurrent uploads: 1 to 10, by default 4. WeChat allows 10. */
  concurrency?: number | undefined
  /** Whether to call wx.login when the signer responds with 401; by default true. */
  login?: boolean | undefined
  /**
   * Returns headers for the signer, such as the Authorization of your own login (then set `login: false`). Called for
   * each form; `refused`: the signer responded to the previous headers with 401.
   */
  headers?: (refused?: boolean) => Record<string, string> | Promise<Record<string, string>>
  /** The number of retries of one file; by default 5. */
  retries?: number
  /**
   * The approximate delay before the first retry; by default 500. It doubles each time, up to 10 s. A Retry-After of up
   * to a minute is respected; with a longer one, the upload fails at once.
   */
  retryDelayMs?: number
  /** The time limit of the signer; by default 15000. OSS may take 4 times as long, plus 50 s for each MB. */
  timeoutMs?: number
  /** Called with the progress of all files. */
  onProgress?: (progress: TotalProgress) => void
}

export interface UploadOptions {
  /** The file's name. It becomes part of the key, and determines the type without `contentType`. */
  filename?: string | undefined
  /** Such as image/jpeg; by default the signer finds it by the extension of the name. */
  contentType?: string | undefined
  /** In bytes; by default read from the file. */
  size?: number | undefined
  onProgress?: (progress: Progress) => void
  /** In the queue; requesting a form; uploading with this form; waiting for a retry after this error. */
  onState?: (
    ...args: ['queued', undefined] | ['signing', undefined] | ['uploading', Form] | ['waiting', UploadError]
  ) => void
  signal?: CancelSignal | undefined
  /** Variables of the app's upload callback. */
  vars?: Record<string, string> | undefined
  /** The object's metadata, for names that the app allows. */
  meta?: Record<string, string> | undefined
  /**
   * The error of an earlier upload of this file. The upload uses the same key, so that the file is not stored twice;
   * after `unknown` it uses a new key.
   */
  retryOf?: unknown
}

export interface FileUploader<File> {
  /** Rejects with `UploadError`. */
  upload(file: File, options?: UploadOptions): Promise<UploadResult>
  /** Cancels all files. */
  abort(): void
}

/**
 * A path from wx.chooseMedia, wx.chooseMessageFile and similar functions; or data: an ArrayBuffer, a data URL
 * (`data:image/png;base64,...`) or a canvas. Data is written to a file of the user data path, uploaded, and removed.
 */
export type FileSource = string | ArrayBuffer | { toDataURL(): string }

export type Uploader = FileUploader<FileSource>

export function createUploader(options: UploaderOptions): Uploader
