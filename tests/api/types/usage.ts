import type { components, operations } from './api'

type UploadRequest = components['schemas']['UploadRequest']
type UploadForm = components['schemas']['UploadForm']

// Every member of a request is optional, and may be null.
const nothing: UploadRequest = {}
const nulls: UploadRequest = { filename: null, content_type: null, size: null, vars: null, meta: null, code: null }
const request: UploadRequest = { filename: 'a.jpg', vars: { order: '1' } }

export const requests: UploadRequest[] = [nothing, nulls, request]

// A member that a form may leave out is never null.
export function keyOf(form: UploadForm): string {
  const key: string | undefined = form.key
  return key ?? form.fields['key'] ?? ''
}

export type Created = operations['createUpload']['responses']['201']['content']['application/json']

// The members of a batch are told apart by `url` and `method`.
type UploadBatch = operations['createUpload']['responses']['200']['content']['application/json']

export function addressesOf(batch: UploadBatch): string[] {
  return batch.uploads.map((each) => {
    if (!('url' in each)) return each.detail ?? each.code
    if (each.method === 'PUT') return each.headers['Content-Type'] ?? ''
    return { ...batch.common_fields, ...each.fields }['key'] ?? ''
  })
}
