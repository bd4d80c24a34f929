import type { HostKernel } from "../../host/index.js";

/** The names of block devices, as `/dev/sda`. */
export class DeviceNames {
  private readonly names = new Map<string, string>();
  private readonly mounted = new Map<string, string>();

  constructor(private readonly kernel: Pick<HostKernel, "readNow">) {}

  /** The device's own numbers where it has no name, so that two of them differ. @see sysfs, dev/block */
  of(major: number, minor: number): string {
    const numbers = `${major}:${minor}`;
    const known = this.names.get(numbers);
    if (known !== undefined) return known;
    const text = this.kernel.readNow(`/sys/dev/block/${numbers}/uevent`) ?? "";
    const found = /^DEVNAME=(.+)$/m.exec(text)?.[1];
    const name = found === undefined ? numbers : `/dev/${found}`;
    this.names.set(numbers, name);
    return name;
  }

  /** The source of a mount, such as `/dev/sda1`; empty when unknown. @see proc_pid_mountinfo(5) */
  at(mountPoint: string): string {
    const known = this.mounted.get(mountPoint);
    if (known !== undefined) return known;
    const lines = (this.kernel.readNow("/proc/self/mountinfo") ?? "").split("\n");
    // Of mounts laid over one another the last one counts.
    const line = lines.findLast((one) => one.split(" ")[4] === mountPoint);
    const source = line?.split(" - ")[1]?.split(" ")[1] ?? "";
    this.mounted.set(mountPoint, source);
    return source;
  }
}
