// Runs the calls of ali-oss against the local cloud: its options are JSON on stdin. Prints what each call found, as JSON.
const OSS = require('ali-oss')

const { endpoint, bucket, authorizationV4 } = JSON.parse(require('fs').readFileSync(0, 'utf8'))
const store = new OSS({
  accessKeyId: 'LTAI-local',
  accessKeySecret: 'local-secret',
  endpoint,
  bucket,
  region: 'oss-cn-hangzhou',
  authorizationV4,
  retryMax: 0,
})
const key = '照片/a b+c.txt'
const code = (error) => error.code

const main = async () => {
  const found = {}
  found.put = (await store.put(key, Buffer.from('hello'), { meta: { team: 'a' }, mime: 'text/x' })).res.status
  found.get = (await store.get(key)).content.toString()
  const head = await store.head(key)
  found.head = [head.meta, head.res.headers['content-length']]
  found.meta = (await store.getObjectMeta(key)).res.headers.etag
  found.unmodified = (await store.head(key, { headers: { 'If-None-Match': head.res.headers.etag } })).status
  found.range = (await store.get(key, { headers: { Range: 'bytes=1-2' } })).content.toString()
  await store.putACL(key, 'public-read')
  found.acl = (await store.getACL(key)).acl
  await store.putObjectTagging(key, { team: 'a' })
  found.tags = (await store.getObjectTagging(key)).tag
  await store.deleteObjectTagging(key)
  found.untagged = (await store.getObjectTagging(key)).tag
  await store.copy('copy.txt', key)
  found.copy = (await store.get('copy.txt')).content.toString()
  await store.putMeta(key, { team: 'b' })
  found.putMeta = (await store.head(key)).meta
  const { nextAppendPosition } = await store.append('log', Buffer.from('ab'))
  await store.append('log', Buffer.from('cd'), { position: nextAppendPosition })
  found.append = (await store.get('log')).content.toString()
  found.list = (await store.list({ delimiter: '/', 'max-keys': 10 })).prefixes
  found.listV2 = (await store.listV2({ prefix: 'c', 'max-keys': 1 })).objects.map(({ name }) => name)
  found.deleteMulti = (await store.deleteMulti(['copy.txt', 'log'])).deleted.map(({ Key }) => Key)
  await store.delete(key)
  found.missing = await store.get(key).catch(code)
  await store.put('target', Buffer.from('linked'))
  await store.putSymlink('link', 'target', {})
  found.symlink = [(await store.getSymlink('link')).targetName, (await store.get('link')).content.toString()]
  await store.deleteMulti(['link', 'target'])
  found.buckets = (await store.listBuckets({ 'max-keys': 10 })).buckets.map(({ name }) => name)
  await store.putBucket('albums')
  found.info = (await store.getBucketInfo('albums')).bucket.Name
  found.location = (await store.getBucketLocation('albums')).location
  found.bucketAcl = (await store.getBucketACL('albums')).acl
  await store.putBucketCORS(bucket, [{ allowedOrigin: '*', allowedMethod: ['PUT'], exposeHeader: ['ETag'] }])
  found.cors = (await store.getBucketCORS(bucket)).rules[0].allowedMethod
  await store.deleteBucketCORS(bucket)
  found.noCors = await store.getBucketCORS(bucket).catch(code)
  const rule = { id: 'parts', prefix: '', status: 'Enabled', abortMultipartUpload: { days: 3 } }
  await store.putBucketLifecycle(bucket, [rule])
  found.lifecycle = (await store.getBucketLifecycle(bucket)).rules[0].abortMultipartUpload
  await store.deleteBucketLifecycle(bucket)
  found.noLifecycle = await store.getBucketLifecycle(bucket).catch(code)
  return found
}

main().then(
  (found) => process.stdout.write(JSON.stringify(found)),
  (error) => {
    console.error(error)
    process.exit(1)
  }
)
