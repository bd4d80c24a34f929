import { request } from "node:http";

/**
 * As little as can be done with Docker's logs: `bare-follower.ts ENDPOINT ID…` follows them, finds their frames,
 * counts and drops them. It says "ready", and at SIGUSR2 how many there were.
 */
const [endpoint = "", ...ids] = process.argv.slice(2);
const headerBytes = 8;
let frames = 0;

function follow(id: string): Promise<void> {
  const path = `/v1.41/containers/${id}/logs?follow=1&stdout=1&stderr=1&timestamps=1`;
  return new Promise((resolve, reject) => {
    const call = request({ socketPath: endpoint.replace("unix://", ""), path }, (response) => {
      let skip = 0;
      let header: Buffer = Buffer.alloc(0);
      response.on("data", (chunk: Buffer) => {
        let at = 0;
        while (at < chunk.length) {
          if (skip > 0) {
            const step = Math.min(skip, chunk.length - at);
            skip -= step;
            at += step;
            continue;
          }
          const part = chunk.subarray(at, at + headerBytes - header.length);
          at += part.length;
          header = header.length === 0 ? part : Buffer.concat([header, part]);
          if (header.length < headerBytes) break;
          skip = header.readUInt32BE(4);
          header = Buffer.alloc(0);
          frames++;
        }
      });
      response.on("end", resolve);
      response.on("error", reject);
    });
    call.on("error", reject);
    call.end();
  });
}

process.on("SIGUSR2", () => {
  process.stdout.write(`${frames}\n`);
});
process.stdout.write("ready\n");
await Promise.all(ids.map(follow));
