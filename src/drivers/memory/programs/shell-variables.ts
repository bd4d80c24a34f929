/** The variables of a shell, and which of them its programs get. */
export class ShellVariables {
  private readonly values = new Map<string, string>();
  private readonly exported = new Set<string>();

  /** @param env What the shell itself was given. */
  constructor(env: Readonly<Record<string, string>>) {
    for (const [name, value] of Object.entries(env)) this.set(name, value, { exported: true });
  }

  get(name: string): string | undefined {
    return this.values.get(name);
  }

  /** An undefined value leaves it as it is. */
  set(name: string, value: string | undefined, options: { readonly exported?: boolean } = {}): void {
    if (value !== undefined) this.values.set(name, value);
    if (options.exported) this.exported.add(name);
  }

  unset(name: string): void {
    this.values.delete(name);
    this.exported.delete(name);
  }

  /** What a program gets. @param assigned For this program alone. */
  environment(assigned: ReadonlyMap<string, string> = new Map()): Record<string, string> {
    const pairs = [...this.exported].map((name) => [name, this.values.get(name) ?? ""] as const);
    return Object.fromEntries([...pairs, ...assigned]);
  }

  /** The same for a subshell, whose changes stay there. */
  copy(): ShellVariables {
    const copy = new ShellVariables(this.environment());
    for (const [name, value] of this.values) copy.values.set(name, value);
    return copy;
  }
}
