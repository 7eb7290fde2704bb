// Signs each policy on stdin with ali-oss; prints the signatures in the same order.
const OSS = require('ali-oss')

const cases = JSON.parse(require('fs').readFileSync(0, 'utf8'))
const signatures = cases.map(({ secret, region, date, policy }) => {
  const client = new OSS({ accessKeyId: 'any', accessKeySecret: secret, region: `oss-${region}`, bucket: 'any' })
  return client.signPostObjectPolicyV4(policy, new Date(date))
})
process.stdout.write(JSON.stringify(signatures))
