// The parts of a multipart upload: one cell for each, which changes as the part is sent and stored.
import { text } from "./text.js";

/** Creates the cells in the row of a file. They appear with the first part. */
export function createParts(element) {
  const strip = element.querySelector(".parts");
  const counts = { stored: 0, count: 0 };

  function reset(count) {
    counts.count = count;
    counts.stored = 0;
    strip.replaceChildren(...Array.from({ length: count }, () => document.createElement("span")));
    strip.hidden = count === 0;
  }

  return {
    clear: () => reset(0),

    /** Shows an event of the library's onPart. */
    show({ number, count, state }) {
      if (count !== counts.count) reset(count);
      const cell = strip.children[number - 1];
      counts.stored += (state === "stored") - (cell.dataset.part === "stored");
      cell.dataset.part = state;
    },

    text: (name, values = {}) => text(name, { ...counts, ...values }),
  };
}
