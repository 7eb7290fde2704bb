// The signer's address and the app: the only file to change.
module.exports = {
  // `make demo` prints its address. A phone cannot reach 127.0.0.1: see docs/miniprogram.md.
  endpoint: 'http://127.0.0.1:5000',
  // The app's id in the signer's definitions, usually the mini-program's app id.
  appId: 'wx1234567890abcdef',
}
