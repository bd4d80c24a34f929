import { once } from "node:events";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { createShim } from "docker-cri";
import { ContainerEventType, createClients } from "docker-cri/client";
import { serveUnixSocket } from "docker-cri/unix-socket";
import { runJob } from "./job.js";

// node agent.js [SOCKET] [docker|memory]
const [path = "/run/docker-cri.sock", kind = "docker"] = process.argv.slice(2);

const shim = await createShim({ engine: { kind }, logLevel: "error" });
const server = await serveUnixSocket(shim, { path });
await shim.start();
console.log(`serving CRI on ${server.address}`);

// kubectl exec, attach and port-forward come in on the agent's own HTTP server, beside its other paths.
const http = createServer((request, response) => response.end("the agent is well\n"));
http.listen(0, "127.0.0.1");
await once(http, "listening");
const baseUrl = `http://127.0.0.1:${http.address().port}`;
shim.streaming.handler({ prefix: "/cri", baseUrl }).attach(http);

// The agent's own calls need no socket: they go to the same handlers, in this process.
const clients = createClients(shim.inProcessTransport());

const watching = new AbortController();
const events = watch(watching.signal);

const exitCode = await runJob(clients, {
  name: "check",
  image: "busybox:1.36",
  command: ["sh", "-c", "sleep 1; exit 3"],
  started: async (containerId) => {
    // A command in the container, in this process as well: its outputs are Node streams.
    const remote = await shim.exec(containerId, ["echo", "hello"]);
    remote.stderr.resume();
    console.log(`inside the container: ${(await text(remote.stdout)).trim()}`);
  },
});
console.log(`the job ended with ${exitCode}`);

watching.abort();
await events;
await server.close();
http.close();
await shim.close();

/** Says what happens to every container of the node, whoever asked for it. */
async function watch(signal) {
  try {
    for await (const event of clients.runtime.getContainerEvents({}, { signal })) {
      const name = event.podSandboxStatus?.metadata?.name ?? "a pod that is gone";
      const type = ContainerEventType[event.containerEventType];
      console.log(`${event.containerId.slice(0, 12)} of ${name}: ${type}`);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
