// Small helpers for the page's elements. Text is inserted as text, never as markup.

export const $ = (id) => document.getElementById(id);

/** Sets the text of an element, and hides an element without text. */
export function setText(element, text) {
  element.textContent = text;
  element.hidden = !text;
}

export function createElement(tag, text, className = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  element.className = className;
  return element;
}

/** Announces a text to screen readers. */
export function announce(text) {
  $("announce").textContent = text;
}

/** Returns the URL if it is http or https, else null. */
export function httpUrl(text) {
  try {
    const url = new URL(text, location.href);
    return ["http:", "https:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}
