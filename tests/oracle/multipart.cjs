// Runs ali-oss's multipart calls against the local cloud: `node multipart.cjs SCENARIO` with the options as JSON on stdin.
// Prints what the scenario found, as JSON.
const OSS = require('ali-oss')

const { endpoint, bucket, file, key, partSize, callback, credentials } = JSON.parse(
  require('fs').readFileSync(0, 'utf8')
)
const client = () =>
  new OSS({ ...credentials, endpoint, bucket, region: 'oss-cn-hangzhou', authorizationV4: true, retryMax: 0 })

const scenarios = {
  async upload() {
    const result = await client().multipartUpload(key, file, {
      partSize,
      parallel: 3,
      mime: 'video/mp4',
      meta: { team: 'a' },
      headers: { 'x-oss-storage-class': 'IA', 'x-oss-object-acl': 'public-read', 'Cache-Control': 'no-store' },
      callback,
    })
    return { etag: result.etag, data: result.data }
  },

  async resume() {
    const first = client()
    let checkpoint
    const interrupted = await first
      .multipartUpload(key, file, {
        partSize,
        parallel: 1,
        progress: (_, latest) => {
          checkpoint = latest
          if (latest.doneParts.length === 2) first.cancel()
        },
      })
      .catch((error) => error.name)
    const store = client()
    const { uploads } = await store.listUploads({ 'max-uploads': 10, prefix: key.slice(0, 3) })
    const { parts } = await store.listParts(key, checkpoint.uploadId, { 'max-parts': 10 })
    const sent = []
    const result = await store.multipartUpload(key, file, {
      checkpoint,
      parallel: 1,
      progress: (_, latest) => latest && sent.push(latest.doneParts.at(-1).number),
    })
    return {
      interrupted,
      uploads: uploads.map(({ name, uploadId }) => [name, uploadId === checkpoint.uploadId]),
      parts: parts.map(({ PartNumber, Size }) => [Number(PartNumber), Number(Size)]),
      sent,
      etag: result.etag,
    }
  },

  async abort() {
    const store = client()
    const { uploadId } = await store.initMultipartUpload(key)
    await store.uploadPart(key, uploadId, 1, file, 0, partSize)
    const { res } = await store.abortMultipartUpload(key, uploadId)
    store.resetCancelFlag()
    const { uploads } = await store.listUploads({ 'max-uploads': 10 })
    const refused = await store.uploadPart(key, uploadId, 1, file, 0, partSize).catch((error) => [error.status, error.code])
    return { status: res.status, uploads, refused }
  },
}

scenarios[process.argv[2]]().then(
  (found) => process.stdout.write(JSON.stringify(found)),
  (error) => {
    console.error(error)
    process.exit(1)
  }
)
