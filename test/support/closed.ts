import type { EventEmitter } from "node:events";

/** Resolves when a socket has closed, in order or by an error, which `once` of Node would reject with. */
export async function closed(socket: EventEmitter): Promise<void> {
  socket.on("error", () => undefined);
  await new Promise<void>((resolve) => {
    socket.once("close", () => {
      resolve();
    });
  });
}
