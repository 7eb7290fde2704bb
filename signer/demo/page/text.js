// The texts of the page in its language; the signer renders them into the page from texts.json.
import { $ } from "./dom.js";

const texts = JSON.parse($("texts").textContent);

/** The language of the page, such as en or zh-CN. */
export const language = document.documentElement.lang;

/** Returns a text with the values of its placeholders. */
export function text(name, values = {}) {
  return texts[name].replace(/\{(\w+)\}/g, (_, value) => values[value]);
}
