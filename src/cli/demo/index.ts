import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serveUnixSocket } from "../../adapters/unix-socket/index.js";
import { createClients } from "../../client/index.js";
import { createShim } from "../../composition/index.js";
import { Host } from "../../host/index.js";
import { exitCodes } from "../exit.js";
import type { Io } from "../io.js";
import { tellLife } from "./life.js";
import { Story } from "./story.js";

/**
 * Shows a pod's whole life on an engine in memory, called through a real Unix socket.
 * @returns The exit code.
 * @throws ConnectError or ShimError when a step fails.
 */
export async function demo(io: Io): Promise<number> {
  const began = performance.now();
  const folder = await mkdtemp(join(tmpdir(), "docker-cri-demo-"));
  try {
    await using shim = await createShim({ engine: { kind: "memory" }, logLevel: "error" });
    await using server = await serveUnixSocket(shim, { path: join(folder, "cri.sock"), mode: 0o600 });
    await shim.start();
    using clients = createClients({ endpoint: server.address });
    const story = new Story(io.stdout);
    story.say(`An in-memory engine in this process, called over ${server.address}`);
    story.say();
    const host = shim.resolve<Host>(Host);
    await tellLife(story, clients, (path) => host.files.read(path));
    story.say();
    story.say(`Done in ${((performance.now() - began) / 1000).toFixed(1)} s. Next, on a node with Docker:`);
    story.say("  docker-cri doctor     check the node");
    story.say("  docker-cri serve      serve a kubelet or crictl");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return exitCodes.ok;
}
