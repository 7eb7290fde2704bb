// Failed requests as text for people. Details of the signer and of OSS are English in every language.
import { exactSizeText, joinDetails, sentence, sizeText } from "./format.js";
import { text } from "./text.js";

/** A failure with a message for people, details for the log, and whether a retry can succeed. */
export class Failure extends Error {
  constructor(message, details = "", canRetry = false) {
    super(message);
    this.details = details;
    this.canRetry = canRetry;
  }
}

/** Requests JSON from the demo's own routes. */
export async function fetchJson(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", ...options });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Failure(text("no_response"));
  }
  const body = await response.json().catch((error) => {
    if (options.signal?.aborted) throw error;
    return null;
  });
  if (response.ok && body !== null) return body;
  throw new Failure(body?.title ? problemText(body) : text("bad_status", { server: text("signer"), status: response.status }));
}

/** Returns the failure for an error of the upload library. */
export function uploadFailure(error, { file, app, form }) {
  const { code, status, ec, requestId, retryable, retryAfterSeconds: seconds } = error;
  if (retryable === undefined) { // not an error of the library
    console.error(error);
    return new Failure(text("page_failed"));
  }
  const server = form ? "OSS" : "signer";
  const request = requestId && `request ${requestId}`;
  const details = status ? [`${server} ${status}`, form ? ec && `EC ${ec}` : code, request] : [];
  const message = messageOf(error, { file, app, form });
  const canRetry = retryable || code === "unknown"; // the user decides whether to upload it twice
  return new Failure(seconds ? text("retry_after", { message, seconds }) : message, joinDetails(details), canRetry);
}

function messageOf({ code, status, detail, ossCode }, { file, app, form }) {
  if (code === "too_large") return tooLargeText(file.size, form?.max_size ?? app.max_size_bytes);
  if (code === "unsupported_type") {
    return text("unsupported_type", { type: file.type || text("unknown_type"), types: app.content_types.join(", ") });
  }
  if (code === "app_disabled") return text("app_disabled");
  if (code === "rate_limited" && !form) return text("rate_limited");
  if (code === "unknown") return text("unknown_outcome");
  if (ossCode) return sentence(text("oss_rejected", { code: ossCode, detail }));
  if (detail) return sentence(detail);
  if (status) return text("bad_status", { server: form ? "OSS" : text("signer"), status });
  if (!form) return text("no_response");
  const { host } = new URL(form.url);
  return text(code === "timeout" ? "oss_slow" : "oss_unreachable", { host });
}

function tooLargeText(bytes, maxBytes) {
  const format = sizeText(bytes) === sizeText(maxBytes) ? exactSizeText : sizeText;
  return text("too_large", { size: format(bytes), limit: format(maxBytes) });
}

function problemText({ title, detail }) {
  return sentence(detail ? `${title}: ${detail}` : title);
}
