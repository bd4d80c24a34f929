/** A set that forgets its oldest members beyond a size. */
export class RecentSet {
  private readonly members = new Set<string>();

  constructor(private readonly limit: number) {}

  has(member: string): boolean {
    return this.members.has(member);
  }

  add(member: string): void {
    this.members.delete(member);
    this.members.add(member);
    const [oldest] = this.members;
    if (this.members.size > this.limit && oldest !== undefined) this.members.delete(oldest);
  }

  delete(member: string): void {
    this.members.delete(member);
  }
}
