/// <reference types="miniprogram-api-typings" />
// Pages keep their own values in `this`, next to `data`; WeChat's typings want each of them declared.
declare namespace WechatMiniprogram.Page {
  interface Constructor {
    (options: Record<string, unknown> & ThisType<any>): void
  }
}
