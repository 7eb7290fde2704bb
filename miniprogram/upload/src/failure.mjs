// Errors: a code for programs, a message for the user, and whether a retry can succeed.

export const { assign } = Object
export const nothing = () => {}
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

const MESSAGES = {
  cancelled: '已取消上传',
  network: '网络连接失败',
  timeout: '网络超时',
  server: '服务繁忙',
  domain: '域名未登记',
  file: '无法读取文件',
  login: '登录失败',
  unauthenticated: '请重新登录',
  app_disabled: '上传已关闭',
  rate_limited: '操作太频繁',
  quota_exceeded: '上传额度不足',
  too_large: '文件太大',
  too_small: '文件太小',
  unsupported_type: '不支持此类型',
  expired: '凭证已过期',
  exists: '同名文件已存在',
  unknown: '不确定是否已上传',
  refused: '上传被拒绝',
}

/**
 * Creates an error. Without a `code`, the status of the response [status, headers, body] determines it. The refusal of
 * one file of several has a status, but no headers of its own: the problem itself has their values.
 */
export const failure = (code, detail = '', [status, headers = {}] = []) => {
  // A response that is neither success nor a refusal is from a proxy in between.
  const broken = status >= 500 || status < 400
  const isLimit = status === 429
  const usual = isLimit ? 'rate_limited' : broken ? 'server' : 'refused'
  code = code || usual
  const passes = broken || isLimit || /^(network|timeout|login|expired)$/.test(code)
  return assign(new Error((MESSAGES[code] || MESSAGES[usual]) + (passes ? '，请稍后重试' : '')), {
    code,
    detail,
    retryable: passes || code === 'cancelled',
    status,
    requestId: headers['x-request-id'] || headers.request_id,
    retryAfterSeconds: +(headers['retry-after'] || headers.retry_after) || undefined,
  })
}
