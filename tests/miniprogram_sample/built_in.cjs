'use strict'
// The built-in components that the pages use, with their properties and inner nodes of the base library:
// https://developers.weixin.qq.com/miniprogram/dev/component/

const view = 'wx-view{display:block}'
const text = 'wx-text{display:inline}'
const image =
  'wx-image{display:inline-block;width:320px;height:240px;overflow:hidden}' +
  'wx-image>div{width:100%;height:100%;background-repeat:no-repeat}'
const progress =
  'wx-progress{display:flex;align-items:center}' +
  '.wx-progress-bar{flex:1;overflow:hidden}.wx-progress-inner-bar{width:0;height:100%}'

exports.STYLE = [view, text, image, progress].join('\n')

const MODES = { scaleToFill: '100% 100%', aspectFit: 'contain', aspectFill: 'cover' }

exports.COMPONENTS = {
  view: { template: '<slot/>', properties: { hoverClass: String, ariaRole: String } },
  text: {
    template: '<slot/>',
    properties: { userSelect: Boolean, selectable: Boolean, space: null, decode: Boolean, overflow: null, maxLines: null },
  },
  button: {
    template: '<slot/>',
    properties: {
      ...{ type: null, size: null, disabled: Boolean, loading: Boolean, plain: Boolean, openType: null, formType: null },
      ...{ hoverClass: String, hoverStopPropagation: Boolean, hoverStartTime: Number, hoverStayTime: Number },
      ...{ name: null, lang: null, sessionFrom: null, appParameter: null, businessId: null, showMessageCard: Boolean },
      ...{ sendMessageTitle: null, sendMessagePath: null, sendMessageImg: null },
    },
  },
  image: {
    template: '<div style="{{style}}"></div>',
    properties: { src: String, mode: { type: String, value: 'scaleToFill' } },
    data: { style: '' },
    observers: {
      'src, mode'(src, mode) {
        this.setData({ style: `background-image:url("${src}");background-size:${MODES[mode]};background-position:center` })
      },
    },
  },
  progress: {
    template:
      '<div class="wx-progress-bar" style="height:{{strokeWidth}}px;border-radius:{{borderRadius}}px;background:{{backgroundColor}}">' +
      '<div class="wx-progress-inner-bar" style="width:{{percent}}%;background:{{activeColor}}"></div></div>',
    properties: {
      percent: Number,
      strokeWidth: { type: Number, value: 6 },
      borderRadius: { type: Number, value: 0 },
      activeColor: { type: String, value: '#09bb07' },
      backgroundColor: { type: String, value: '#ebebeb' },
    },
  },
}
