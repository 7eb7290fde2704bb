// Signs each case on stdin with ali-oss, and prints the results in the same order:
// the signature of a policy, or the presigned URL of a request.
const OSS = require('ali-oss')

const sign = ({ secret, token, region, bucket, date, policy, method, key, expires, headers, queries, additional }) => {
  const client = new OSS({
    accessKeyId: 'any',
    accessKeySecret: secret,
    stsToken: token,
    region: `oss-${region}`,
    bucket: bucket || 'any',
    secure: true,
  })
  return policy
    ? client.signPostObjectPolicyV4(policy, new Date(date))
    : client.signatureUrlV4(method, expires, { headers, queries }, key, additional)
}

const cases = JSON.parse(require('fs').readFileSync(0, 'utf8'))
Promise.all(cases.map(sign)).then((results) => process.stdout.write(JSON.stringify(results)))
