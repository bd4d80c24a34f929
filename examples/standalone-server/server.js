import { once } from "node:events";
import { createShim } from "docker-cri";
import { serveUnixSocket } from "docker-cri/unix-socket";

// node server.js [SOCKET] [docker|memory]
const [path = "/run/docker-cri.sock", kind = "docker"] = process.argv.slice(2);

const shim = await createShim({ engine: { kind } });
const server = await serveUnixSocket(shim, { path, mode: 0o660 });
console.log(`serving CRI on ${server.address}`);

// The socket is there at once. Calls wait while Docker's state is read, and get UNAVAILABLE while Docker is away.
shim.start().then(
  () => console.log("in sync with Docker"),
  (error) => console.error(error.message),
);

await Promise.race([once(process, "SIGTERM"), once(process, "SIGINT")]);
await server.close();
await shim.close();
console.log("closed; pods run on");
