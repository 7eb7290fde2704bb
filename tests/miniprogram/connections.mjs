// An uploader, and a phone whose connections to the signer and to OSS can be disturbed.
import { after, afterEach } from 'node:test'
import { createUploader } from '../../miniprogram/upload/src/wx.mjs'
import { createProxy, OSS, phone, retryQuickly, setFaults, SIGNER } from './setup.mjs'

export const uploader = (appId, options = {}) =>
  createUploader({ endpoint: SIGNER, appId, ...retryQuickly, ...options })

export const oss = await createProxy(Number(new URL(OSS).port))
export const signer = await createProxy(Number(new URL(SIGNER).port))
after(() => Promise.all([oss.close(), signer.close()]))
afterEach(() => setFaults({}))

/** A phone whose connections to the signer and to OSS go through the proxies. */
export const disturbedPhone = (options = {}) =>
  phone({ routes: { [new URL(OSS).origin]: oss.port, [new URL(SIGNER).origin]: signer.port }, ...options })
