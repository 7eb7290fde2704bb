// What Alibaba's help page on uploads from WeChat mini-programs (document 92883) tells its readers to write: the same
// requests with the same fields, in words of our own. Only the addresses, in config.js, are the reader's.
const { signer, bucket } = require('../../config.js')

Page({
  data: { result: '' },

  chooseImage() {
    const that = this
    wx.chooseImage({
      count: 1,
      sizeType: ['original', 'compressed'],
      sourceType: ['album', 'camera'],
      success(res) {
        that.uploadFile(res.tempFilePaths[0], res.tempFilePaths[0].split('/').pop())
      },
    })
  },

  chooseFile() {
    const that = this
    wx.chooseMessageFile({
      count: 1,
      type: 'all',
      success(res) {
        that.uploadFile(res.tempFiles[0].path, res.tempFiles[0].name)
      },
    })
  },

  uploadFile(filePath, fileName) {
    const that = this
    wx.request({
      url: `${signer}/generate_signature`,
      success(res) {
        const signed = res.data
        wx.uploadFile({
          url: bucket,
          filePath,
          name: 'file',
          formData: {
            key: `exampledir/${fileName}`,
            policy: signed.policy,
            'x-oss-signature-version': signed.x_oss_signature_version,
            'x-oss-credential': signed.x_oss_credential,
            'x-oss-date': signed.x_oss_date,
            'x-oss-signature': signed.signature,
            'x-oss-security-token': signed.security_token,
            success_action_status: '200',
          },
          success(answer) {
            that.setData({ result: answer.statusCode === 200 ? '上传成功' : `上传失败 ${answer.statusCode} ${answer.data}` })
          },
          fail(error) {
            that.setData({ result: `上传失败 ${error.errMsg}` })
          },
        })
      },
      fail(error) {
        that.setData({ result: `签名失败 ${error.errMsg}` })
      },
    })
  },
})
