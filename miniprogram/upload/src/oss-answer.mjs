// OSS errors in XML. See: https://help.aliyun.com/zh/oss/developer-reference/postobject
import { assign, failure } from './failure.mjs'

const CODES = {
  FileAlreadyExists: 'exists',
  EntityTooLarge: 'too_large',
  EntityTooSmall: 'too_small',
  PublicEndpointForbidden: 'endpoint',
  RequestTimeout: 'timeout',
  NoSuchUpload: 'upload_gone',
}

const read = (xml, name) => xml.split(new RegExp(`</?${name}>`))[1] || ''

export const etagOf = ([, headers, body]) => (headers.etag || read(body, 'ETag')).replace(/"|&quot;/g, '') || undefined

export const refusal = (answer) => {
  const xml = answer[2]
  const ossCode = read(xml, 'Code')
  const detail = read(xml, 'Message')
  // An expired token has several codes; an expired policy (EC 0006-00000213) or URL only a message.
  const expired = /SecurityToken|InvalidAccessKeyId|(Policy|Request has) expired/.test(ossCode + detail)
  const more = { ossCode, ec: read(xml, 'EC'), requestId: read(xml, 'RequestId') }
  return assign(failure(expired ? 'expired' : CODES[ossCode], detail, answer), more)
}
