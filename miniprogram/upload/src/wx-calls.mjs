// How a method of WeChat is called, and what its errors mean.

export const LOGIN = 'login'
export const REQUEST = 'request'

/** Returns the options of a method in its own form. */
export const adapt = (options) => options

/** Returns the task of a method. */
export const handle = (task) => task

/** Failures have only messages, such as "uploadFile:fail timeout". */
export const codeOf = (words) =>
  /domain list/.test(words) ? 'domain'
  : /time ?out/i.test(words) ? 'timeout'
  : /no such|not found|not exist|permission/i.test(words) ? 'file'
  : 'network'
