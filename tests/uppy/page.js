import AwsS3 from '@uppy/aws-s3'
import Uppy from '@uppy/core'

let file

/** Add a file of `content`, to be uploaded with the glue of the documentation, and return the plugin. */
window.prepare = ({ app, headers, name, type, content, multipart }) => {
  const uppy = new Uppy()
  // GLUE
  for (const plugin of [uppy.getPlugin('AwsS3'), uppy.getPlugin('AwsS3Multipart')]) plugin?.setOptions({ shouldUseMultipart: multipart })
  file = uppy.addFile({ name, type, data: new Blob([Uint8Array.from(atob(content), (each) => each.charCodeAt(0))], { type }) })
  window.uppy = uppy
}

/** Upload the file, and return what Uppy reports. */
window.upload = async () => {
  const { failed } = await window.uppy.upload()
  return { errors: failed.map((each) => String(each.error)) }
}

/** Pause the upload when a part has arrived, and resolve to its number. */
window.pauseAfterAPart = () => new Promise((resolve) => {
  window.uppy.once('s3-multipart:part-uploaded', (_, part) => {
    window.uppy.pauseResume(file)
    resolve(part.PartNumber)
  })
})

/** Continue the paused upload. */
window.resume = () => void window.uppy.pauseResume(file)
