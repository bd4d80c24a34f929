/** A spec of critest that is not run, and why. */
export interface LeftOut {
  /** Part of the spec's full name. */
  readonly name: string;
  readonly why: string;
}

export const leftOut: readonly LeftOut[] = [];

/** Why a spec is left out; undefined for one that is run. */
export function whyLeftOut(spec: string): string | undefined {
  return leftOut.find(({ name }) => spec.includes(name))?.why;
}
