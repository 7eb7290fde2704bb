// The two addresses that the reader of the help page puts in.
module.exports = {
  signer: 'http://127.0.0.1:5000',
  bucket: 'https://examplebucket.oss-cn-hangzhou.aliyuncs.com',
}
