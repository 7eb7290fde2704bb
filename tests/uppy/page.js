import AwsS3 from '@uppy/aws-s3'
import Uppy from '@uppy/core'

/** Upload a file of `content` with the glue of the documentation, and return what Uppy reports. */
window.upload = async ({ app, headers, name, type, content, multipart }) => {
  const uppy = new Uppy()
  // GLUE
  uppy.getPlugin('AwsS3').setOptions({ shouldUseMultipart: multipart })
  uppy.addFile({ name, type, data: new Blob([Uint8Array.from(atob(content), (each) => each.charCodeAt(0))], { type }) })
  const { successful, failed } = await uppy.upload()
  return {
    errors: failed.map((file) => String(file.error)),
    keys: successful.map((file) => file.response.body.key),
    urls: successful.map((file) => file.uploadURL),
  }
}
