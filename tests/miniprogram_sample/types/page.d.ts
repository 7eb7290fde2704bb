/// <reference types="miniprogram-api-typings" />
// Pages keep things of their own in `this`, beside `data`; WeChat's typings want each of them declared.
declare namespace WechatMiniprogram.Page {
  interface Constructor {
    (options: Record<string, unknown> & ThisType<any>): void
  }
}
