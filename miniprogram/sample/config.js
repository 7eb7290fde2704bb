// Where the signer is, and which of its apps this is: the one file to change.
module.exports = {
  // `make demo` says its address. A phone cannot reach 127.0.0.1: see docs/miniprogram.md.
  endpoint: 'http://127.0.0.1:5000',
  // An app in the signer's definitions, usually the mini-program's own app id.
  appId: 'wx1234567890abcdef',
}
