// Failed requests as text for people. The upload library's own messages are Chinese; this page is English.
import { joinDetails, sentence, tooLargeText } from "./text.js";

const NO_RESPONSE = "The signer does not respond. Is it still running?";

/** A failure with a message for people, and details for the log. */
export class Failure extends Error {
  constructor(message, details = "") {
    super(message);
    this.details = details;
  }
}

/** Requests JSON from the demo's own routes. */
export async function fetchJson(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", ...options });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Failure(NO_RESPONSE);
  }
  const body = await response.json().catch((error) => {
    if (options.signal?.aborted) throw error;
    return null;
  });
  if (response.ok && body !== null) return body;
  const title = body?.title || `The signer responded with ${response.status}`;
  throw new Failure(sentence(body?.detail ? `${title}: ${body.detail}` : title));
}

/** Returns the failure for an error of the upload library. */
export function uploadFailure(error, { file, app, form }) {
  const { code, status, ec, requestId, retryAfterSeconds } = error;
  if (code === undefined) {
    console.error(error);
    return new Failure("This page failed; see its console.");
  }
  const server = form ? "OSS" : "signer";
  const request = requestId && `request ${requestId}`;
  const details = status ? [`${server} ${status}`, form ? ec && `EC ${ec}` : code, request] : [];
  const retry = retryAfterSeconds ? ` Try again in ${retryAfterSeconds} s.` : "";
  return new Failure(message(error, { file, app, form }) + retry, joinDetails(details));
}

function message({ code, status, detail, ossCode }, { file, app, form }) {
  if (code === "too_large") return tooLargeText(file.size, form?.max_size ?? app.max_size_bytes);
  if (code === "unknown") return "The response was lost and the form has expired, so the file may be in the bucket. Retry uploads it again.";
  if (ossCode) return sentence(`OSS rejected it: ${ossCode}: ${detail}`);
  if (detail) return sentence(detail);
  if (status) return `${form ? "OSS" : "The signer"} responded with ${status}.`;
  if (!form) return NO_RESPONSE;
  const host = new URL(form.url).host;
  if (code === "timeout") return `${host} took too long.`;
  return `The connection to ${host} failed, or its CORS rules do not allow this page.`;
}
