/** A figure, and what it must not pass. */
export interface Mark {
  readonly what: string;
  readonly value: number;
  readonly most: number;
}

/** Whether the figure is as it must be; one that could not be measured is not. */
export function holds({ value, most }: Mark): boolean {
  return value <= most;
}

/** A mark as the cell of a table; empty where there is none. */
export function verdict(mark: Mark | undefined): string {
  return mark ? `≤ ${mark.most}: ${holds(mark) ? "pass" : "**MISSED**"}` : "";
}
