/** The addresses of Docker's default bridge. As in Docker, the lowest free one is assigned. */
export class Addresses {
  private readonly taken = new Set<string>();

  /** @throws Error when all 65,533 are taken. */
  take(): string {
    for (let number = 2; number < 65_535; number++) {
      const address = `172.17.${number >> 8}.${number & 255}`;
      if (this.taken.has(address)) continue;
      this.taken.add(address);
      return address;
    }
    throw new Error("no address is left on the bridge");
  }

  release(address: string): void {
    this.taken.delete(address);
  }
}
