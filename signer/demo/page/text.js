// Sizes, times and file kinds as text for people.

export function sizeText(bytes) {
  const units = ["bytes", "KiB", "MiB", "GiB"];
  let unit = 0;
  let value = bytes;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit > 0 && value < 100 ? 1 : 0;
  return `${Number(value.toFixed(digits))} ${units[unit]}`;
}

export function tooLargeText(bytes, maxBytes) {
  const exact = (count) => `${count.toLocaleString("en")} bytes`;
  const format = sizeText(bytes) === sizeText(maxBytes) ? exact : sizeText;
  return `Too large: the file has ${format(bytes)}; this app accepts at most ${format(maxBytes)}.`;
}

export function timeText(iso) {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return "";
  const today = time.toDateString() === new Date().toDateString();
  const clock = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
  return today ? time.toLocaleTimeString([], clock) : time.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}

export function kindText(name) {
  const extension = /\.([a-z0-9]{1,5})$/i.exec(name);
  return extension ? extension[1].toUpperCase() : "FILE";
}

export function sentence(text) {
  const trimmed = text.trim();
  return /[.!?]$/.test(trimmed) ? trimmed : `${trimmed}.`;
}

export function joinDetails(parts) {
  return parts.filter(Boolean).join(" · ");
}
