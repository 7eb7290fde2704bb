/** For Alipay and DingTalk, whose `my.uploadFile` uploads only images, videos and audio. */
export * from './index.js'
