// Calls the local STS with pop-core, which signs in RPC style. The options are JSON on stdin; prints the answers as JSON.
const { RPCClient } = require('@alicloud/pop-core')

const { endpoint, accessKeyId, accessKeySecret, role } = JSON.parse(require('fs').readFileSync(0, 'utf8'))
const rpc = (key) => new RPCClient({ ...key, endpoint, apiVersion: '2015-04-01' })

const main = async () => {
  const client = rpc({ accessKeyId, accessKeySecret })
  const parameters = { RoleArn: role, RoleSessionName: 'a b~*', DurationSeconds: 900 }
  const refused = await client.request('AssumeRole', parameters, { method: 'POST' }).catch((error) => error.code)
  const issued = await client.request('AssumeRole', { ...parameters, RoleSessionName: 'phone' }, { method: 'POST' })
  const { AccessKeyId, AccessKeySecret, SecurityToken } = issued.Credentials
  const holder = rpc({ accessKeyId: AccessKeyId, accessKeySecret: AccessKeySecret, securityToken: SecurityToken })
  const identity = await holder.request('GetCallerIdentity', {})
  const wrong = await rpc({ accessKeyId, accessKeySecret: 'wrong' })
    .request('GetCallerIdentity', {})
    .catch((error) => error.code)
  return { refused, identity, wrong }
}

main().then(
  (found) => process.stdout.write(JSON.stringify(found)),
  (error) => {
    console.error(error)
    process.exit(1)
  }
)
