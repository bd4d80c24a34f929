import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";

/** Ports of {@link startEchoServer}: two echo, one on ::1 alone; one tells how much it got, once its peer has ended. */
export const echoPorts = { echo: 8080, echoOverIpv6: 8082, count: 8083 } as const;
/** Nothing listens there. */
export const refusedPort = 8081;

const program = `
  const { createServer } = require("node:net");
  // A client may vanish in the middle.
  const serve = (listener) =>
    createServer({ allowHalfOpen: true }, (socket) => listener(socket.on("error", () => {})));
  const echo = () => serve((socket) => socket.pipe(socket));
  const count = serve((socket) => {
    let bytes = 0;
    socket.on("data", (data) => (bytes += data.length));
    socket.on("end", () => socket.end(bytes + " bytes"));
  });
  echo().listen(${echoPorts.echo}, "127.0.0.1", () =>
    echo().listen(${echoPorts.echoOverIpv6}, "::1", () =>
      count.listen(${echoPorts.count}, "127.0.0.1", () => console.log("listening"))));
`;

/** Listens on the loopback of another process's network, until it is disposed of. */
export async function startEchoServer(pid: number): Promise<AsyncDisposable> {
  // Docker switches IPv6 off where it gives no such address.
  const script = 'echo 0 > /proc/sys/net/ipv6/conf/lo/disable_ipv6; exec "$0" -e "$1"';
  const child = spawn(
    "nsenter",
    [`--net=/proc/${pid}/ns/net`, "sh", "-c", script, process.execPath, program],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const ended = once(child, "exit");
  await Promise.race([once(child.stdout, "data"), ended.then(() => assert.fail("the echo server ended"))]);
  return {
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
