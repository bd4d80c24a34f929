import { request } from "node:http";

/**
 * Asks dockerd for a path and answers the status code, or undefined when nothing answers within
 * `timeoutMs`.
 */
export async function engineStatus(
  socketPath: string,
  path: string,
  timeoutMs = 2000,
): Promise<number | undefined> {
  return await new Promise((resolve) => {
    const call = request(
      { socketPath, path, method: "GET", timeout: timeoutMs, agent: false },
      (response) => {
        response.resume();
        resolve(response.statusCode);
      },
    );
    call.on("timeout", () => call.destroy());
    call.on("error", () => {
      resolve(undefined);
    });
    call.end();
  });
}
