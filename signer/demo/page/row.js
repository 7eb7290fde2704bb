// The row of one file. A further button is one more element with data-action in the template, and its texts.
import { $, setText } from "./dom.js";
import { kindText, sizeText } from "./format.js";
import { text } from "./text.js";
import { showThumbnail } from "./thumbnail.js";

/** Creates the row of a file. `actions` has a function for each button of the template. */
export function createRow(file, actions) {
  const element = $("row").content.firstElementChild.cloneNode(true);
  const { name } = file;
  element.querySelector(".kind").textContent = kindText(name);
  element.querySelector(".name").textContent = name;
  element.querySelector(".name").title = name;
  element.querySelector(".size").textContent = sizeText(file.size);
  element.querySelector("progress").setAttribute("aria-label", text("progress_file", { name }));
  for (const button of element.querySelectorAll("[data-action]")) {
    const { action } = button.dataset;
    button.setAttribute("aria-label", text(`${action}_file`, { name }));
    button.addEventListener("click", () => actions[action]());
  }
  showThumbnail(file, element.querySelector(".kind"));
  return element;
}

/** Shows a state: a text or a failure, and the buttons that apply. The focus stays in the row when its button is hidden. */
export function showState(element, state, { label, failure, actions }) {
  const hadFocus = element.contains(document.activeElement);
  element.dataset.state = state;
  element.querySelector(".state").textContent = label;
  setText(element.querySelector(".message"), failure?.message ?? "");
  setText(element.querySelector(".trace"), failure?.details ?? "");
  for (const button of element.querySelectorAll("[data-action]")) button.hidden = !actions.includes(button.dataset.action);
  if (hadFocus) focusRow(element);
}

/** Shows the progress of the running upload. */
export function showProgress(element, percent, label = text("state_percent", { percent })) {
  element.querySelector("progress").value = percent;
  element.querySelector(".state").textContent = percent < 99 ? label : text("state_storing");
}

export function focusRow(element) {
  (element.querySelector("[data-action]:not([hidden])") ?? element).focus({ preventScroll: true });
}
