import { KubeConfig } from "@kubernetes/client-node";
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { Shim } from "../../../src/index.js";
import type { Clients } from "../../../src/client/index.js";

/** What an API server with its kubelet is to a client of exec, attach and port-forward. */
export interface ApiFront extends AsyncDisposable {
  readonly kubeConfig: KubeConfig;
}

const pathForm = /^\/api\/v1\/namespaces\/[^/]+\/pods\/([^/]+)\/(exec|attach|portforward)$/;

/**
 * Serves the API server's paths by the shim's own handler, each with the URL that the runtime gives for it. A pod's
 * name is its id.
 */
export async function startApiFront(shim: Shim, runtime: Clients["runtime"]): Promise<ApiFront> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const handler = shim.streaming.handler({ baseUrl });
  server.on("upgrade", (request, socket, head) => {
    // The client may go before the runtime has answered.
    socket.on("error", () => undefined);
    streamingUrl(request, runtime).then(
      (url) => {
        const { pathname } = new URL(url);
        request.url = pathname + new URL(request.url ?? "", baseUrl).search;
        handler.upgrade(request, socket, head);
      },
      (error: unknown) => socket.end(`HTTP/1.1 500 Internal Server Error\r\n\r\n${String(error)}`),
    );
  });
  const kubeConfig = new KubeConfig();
  // Otherwise it refuses plain http.
  kubeConfig.loadFromClusterAndUser({ name: "node", server: baseUrl, skipTLSVerify: true }, { name: "user" });
  return {
    kubeConfig,
    [Symbol.asyncDispose]: () => {
      server.close();
      server.closeAllConnections();
      return Promise.resolve();
    },
  };
}

async function streamingUrl(request: IncomingMessage, runtime: Clients["runtime"]): Promise<string> {
  const { pathname, searchParams } = new URL(request.url ?? "", "http://api");
  const [, pod = "", verb] = pathForm.exec(pathname) ?? [];
  if (verb === "portforward") {
    const port = searchParams.getAll("ports").map(Number);
    return (await runtime.portForward({ podSandboxId: pod, port })).url;
  }
  const wants = (name: string) => searchParams.get(name) === "true";
  const streams = {
    containerId: searchParams.get("container") ?? "",
    stdin: wants("stdin"),
    stdout: wants("stdout"),
    stderr: wants("stderr"),
    tty: wants("tty"),
  };
  if (verb === "attach") return (await runtime.attach(streams)).url;
  return (await runtime.exec({ ...streams, cmd: searchParams.getAll("command") })).url;
}
