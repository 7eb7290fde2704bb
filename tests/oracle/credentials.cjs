// Gets a role's credentials with @alicloud/credentials, which calls STS over HTTPS only.
// The options are JSON on stdin; prints the credentials as JSON.
const Credentials = require('@alicloud/credentials')

const options = JSON.parse(require('fs').readFileSync(0, 'utf8'))
new Credentials.default(new Credentials.Config(options)).getCredential().then(
  ({ accessKeyId, accessKeySecret, securityToken }) =>
    process.stdout.write(JSON.stringify({ accessKeyId, accessKeySecret, securityToken })),
  (error) => {
    console.error(error)
    process.exit(1)
  }
)
