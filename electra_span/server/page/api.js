// The server's JSON endpoints.

/** An answer that is none; its message is for people. */
export class ApiError extends Error {}

/** Returns which models there are, and the limits. */
export const fetchModels = () => request("/api/models", {});

/**
 * Returns what the server answers to a command.
 * @param {string} command - such as "replaced".
 * @param {Object} body - as openapi.json describes it.
 * @param {AbortSignal} signal - ends the wait.
 */
export function run(command, body, signal) {
  return request(`/api/${command}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
}

/** Returns a command for a shell that asks the same. */
export function asCurl(command, body) {
  const json = JSON.stringify(body).replaceAll("'", String.raw`'\''`);
  return `curl -s ${location.origin}/api/${command} -H 'Content-Type: application/json' \\\n  -d '${json}'`;
}

async function request(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The server does not answer. Is it still running?");
  }
  const answer = await response.json().catch(() => null);
  if (response.ok && answer !== null) return answer;
  throw new ApiError(answer?.error ?? `The server answered ${response.status} ${response.statusText}, without a reason.`);
}
