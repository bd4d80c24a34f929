import type { HostKernel } from "../../host/index.js";

/** The names of block devices, as `/dev/sda`. */
export class DeviceNames {
  private readonly names = new Map<string, string>();

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
}
