// Runs the recipe of docs/miniprogram.md with a `wx` that sends real requests. Arguments: a JSON with `code`, `signer`,
// `wechat`, `app` and `keys`. Prints what the recipe returns.
import { readFileSync } from 'node:fs'

const { code, signer, wechat, app, keys, removed } = JSON.parse(readFileSync(0, 'utf8'))
let logins = 0

globalThis.wx = {
  request({ url, method, data, header, success, fail }) {
    const target = url.replace('https://sign.example.com/v1/apps/wx1234567890abcdef', `${signer}/v1/apps/${app}`)
    const body = data === undefined ? undefined : JSON.stringify(data)
    fetch(target, { method, body, headers: { ...header, 'Content-Type': 'application/json' } })
      .then(async (response) => {
        const text = await response.text()
        success({
          statusCode: response.status,
          header: Object.fromEntries(response.headers),
          data: text && JSON.parse(text),
        })
      })
      .catch(fail)
  },
  login({ success, fail }) {
    logins += 1
    fetch(`${wechat}/-/wechat/codes`, { method: 'POST', body: JSON.stringify({ appid: app, user: 'anna' }) })
      .then((response) => response.json())
      .then(success, fail)
  },
}

const recipe = new Function(`${code}; return { pictures, remove }`)()
const thumbnails = await recipe.pictures(keys, 'thumb')
const originals = await recipe.pictures(keys)
await recipe.remove(removed)
const refused = await recipe.pictures(keys, 'unknown').catch((error) => error.message)
console.log(JSON.stringify({ thumbnails, originals, refused, logins }))
