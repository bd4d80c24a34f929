import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { codeOf } from "../../base/index.js";
import type { HostOomLog, OomKill } from "../../host/index.js";

/** The longest record of the kernel. */
const recordBytes = 8192;
/** The log's clock is not adjusted: in this many seconds it drifts by less than one. */
const secondsToDrift = 10_000n;

/**
 * Opens the kernel's log. Each open of the device has its own position, and each read returns one record.
 * @see Linux, Documentation/ABI/testing/dev-kmsg
 */
export async function openOomLog(): Promise<HostOomLog> {
  const file = await open("/dev/kmsg", constants.O_RDONLY | constants.O_NONBLOCK);
  return {
    async read() {
      const record = Buffer.alloc(recordBytes);
      const kills: OomKill[] = [];
      for (;;) {
        try {
          const { bytesRead } = await file.read(record, 0, record.length, null);
          if (bytesRead === 0) return kills;
          const kill = parseOomKill(record.toString("latin1", 0, bytesRead));
          if (kill) kills.push(kill);
        } catch (error) {
          if (codeOf(error) === "EAGAIN") return kills;
          // EPIPE: records were overwritten before they were read; the next read has the oldest that is left.
          if (codeOf(error) !== "EPIPE") throw error;
        }
      }
    },
    close: () => file.close(),
  };
}

/** Parses one record, if it reports such a kill. Only the kernel writes records of facility 0. */
export function parseOomKill(record: string): OomKill | undefined {
  const [, micros, cgroup] = /^[0-7],\d+,(\d+),[^;]*;oom-kill:.*?,task_memcg=([^,]*),/.exec(record) ?? [];
  if (micros === undefined || cgroup === undefined) return undefined;
  const sinceBoot = BigInt(micros) * 1_000n;
  const boot = BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint();
  return { cgroup, latestNanos: boot + sinceBoot + sinceBoot / secondsToDrift };
}
