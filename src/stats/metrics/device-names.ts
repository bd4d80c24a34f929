import type { HostKernel } from "../../host/index.js";

/** The names of block devices, such as `/dev/sda`. */
export class DeviceNames {
  private readonly names = new Map<string, string>();
  private readonly mounted = new Map<string, string>();

  constructor(private readonly kernel: Pick<HostKernel, "readNow">) {}

  /** The name, or the device number if there is none, to distinguish devices. @see sysfs, dev/block */
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
    // Of mounts at the same path the last one is visible.
    const line = lines.findLast((one) => one.split(" ")[4] === mountPoint);
    const source = line?.split(" - ")[1]?.split(" ")[1] ?? "";
    this.mounted.set(mountPoint, source);
    return source;
  }
}
