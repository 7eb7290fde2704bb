// What Alibaba's help page on uploads from WeChat mini-programs (document 92883) shows: the same
// requests with the same fields and the same key, in words of our own. Only the addresses, in config.js, are the reader's.
const { signer, bucket } = require('../../config.js')

Page({
  data: { key: 'filename.txt', result: '' },

  chooseFile() {
    wx.chooseMessageFile({
      count: 1,
      type: 'all',
      success: ({ tempFiles }) => this.uploadFile(tempFiles[0].path),
    })
  },

  uploadFile(filePath) {
    const { key } = this.data
    wx.request({
      url: `${signer}/generate_signature`,
      success: ({ data }) => {
        wx.uploadFile({
          url: bucket,
          filePath,
          name: 'file',
          formData: {
            key,
            policy: data.policy,
            'x-oss-signature-version': data.x_oss_signature_version,
            'x-oss-credential': data.x_oss_credential,
            'x-oss-date': data.x_oss_date,
            'x-oss-signature': data.signature,
            'x-oss-security-token': data.security_token,
            success_action_status: '200',
          },
          success: (answer) => {
            this.setData({ result: answer.statusCode === 200 ? '上传成功' : `上传失败 ${answer.statusCode} ${answer.data}` })
          },
          fail: (error) => this.setData({ result: `上传失败 ${error.errMsg}` }),
        })
      },
      fail: (error) => this.setData({ result: `签名失败 ${error.errMsg}` }),
    })
  },
})
