// Texts of the page.

const UNITS = ['B', 'KB', 'MB', 'GB']

const sizeText = (bytes) => {
  let unit = 0
  let value = bytes
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  return `${value < 10 && unit ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`
}

const STATES = {
  queued: '等待上传',
  signing: '准备中',
  uploading: '上传中',
  waiting: '网络不稳定，稍后自动重试',
}

/** The details of a failure, ready to copy. */
const explanation = (error) =>
  [
    error.message,
    `code: ${error.code}`,
    error.ossCode && `OSS: ${error.ossCode} ${error.ec || ''}`.trim(),
    error.status && `HTTP: ${error.status}`,
    error.requestId && `request id: ${error.requestId}`,
    error.detail,
  ]
    .filter(Boolean)
    .join('\n')

module.exports = { STATES, explanation, sizeText }
