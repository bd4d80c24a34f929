import type { DeviceIo } from "../usage.js";
import type { ReadFile } from "./cpu.js";
import type { CgroupPlace } from "./places.js";
import { numberOf } from "./text.js";

/**
 * The block I/O of a cgroup with its descendants; undefined when the cgroup no longer exists.
 * @see kernel, cgroup-v1/blkio-controller `blkio.throttle.*`; cgroup-v2 `io.stat`
 */
export function readIo(read: ReadFile, { version, folder }: CgroupPlace): DeviceIo[] | undefined {
  if (version === 2) {
    const text = read(`${folder}/io.stat`);
    return text === undefined ? undefined : parseIoStat(text);
  }
  // Kernels before 5.0 do not include child cgroups.
  const of = (name: string) => read(`${folder}/${name}_recursive`) ?? read(`${folder}/${name}`);
  const bytes = of("blkio.throttle.io_service_bytes");
  const operations = of("blkio.throttle.io_serviced");
  if (bytes === undefined || operations === undefined) return undefined;
  return parseBlkio(bytes, operations);
}

class Devices {
  private readonly devices = new Map<string, DeviceIo>();

  add(device: string, table: "bytes" | "operations", operation: string, text: string): void {
    const match = /^(\d{1,9}):(\d{1,9})$/.exec(device);
    const value = numberOf(text);
    if (!match || value === undefined) return;
    let entry = this.devices.get(device);
    if (!entry) {
      entry = { major: Number(match[1]), minor: Number(match[2]), bytes: new Map(), operations: new Map() };
      this.devices.set(device, entry);
    }
    (entry[table] as Map<string, bigint>).set(operation, value);
  }

  all(): DeviceIo[] {
    return [...this.devices.values()];
  }
}

/** @param bytes and @param operations Lines such as `8:0 Read 4096`. */
function parseBlkio(bytes: string, operations: string): DeviceIo[] {
  const devices = new Devices();
  for (const [table, text] of [["bytes", bytes] as const, ["operations", operations] as const]) {
    for (const line of text.split("\n")) {
      const [device = "", operation, value] = line.split(" ");
      if (operation !== undefined && value !== undefined) devices.add(device, table, operation, value);
    }
  }
  return devices.all();
}

const columns: Readonly<Record<string, readonly ["bytes" | "operations", string]>> = {
  rbytes: ["bytes", "Read"],
  wbytes: ["bytes", "Write"],
  dbytes: ["bytes", "Discard"],
  rios: ["operations", "Read"],
  wios: ["operations", "Write"],
  dios: ["operations", "Discard"],
};

/** @param text Lines such as `8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0`. */
function parseIoStat(text: string): DeviceIo[] {
  const devices = new Devices();
  for (const line of text.split("\n")) {
    const [device = "", ...pairs] = line.split(" ");
    for (const pair of pairs) {
      const [key = "", value = ""] = pair.split("=");
      const column = Object.hasOwn(columns, key) ? columns[key] : undefined;
      if (column) devices.add(device, ...column, value);
    }
  }
  return devices.all();
}
