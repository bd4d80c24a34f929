/** A version of Docker's API, such as `[1, 41]`. */
export type ApiVersion = readonly [major: number, minor: number];

/** The oldest API that has everything docker-cri needs: Docker 20.10's. */
export const oldestSupported: ApiVersion = [1, 41];

/** The newest API that docker-cri was written for: Docker 28's. */
export const newestSupported: ApiVersion = [1, 48];

/** No version is supported by both sides. The message has both ranges. */
export class NoCommonVersion extends Error {
  override readonly name = "NoCommonVersion";
}

/** Parses `1.41`; undefined for another form. */
export function parseApiVersion(text: string | undefined): ApiVersion | undefined {
  const [, major, minor] = /^(\d{1,4})\.(\d{1,4})$/.exec(text ?? "") ?? [];
  return major === undefined || minor === undefined ? undefined : [Number(major), Number(minor)];
}

export function formatApiVersion([major, minor]: ApiVersion): string {
  return `${major}.${minor}`;
}

/** True when `a` is older than `b`. */
export function isOlder(a: ApiVersion, b: ApiVersion): boolean {
  return a[0] < b[0] || (a[0] === b[0] && a[1] < b[1]);
}

/**
 * The newest version that both sides support.
 * @param newest The newest that the engine supports.
 * @param askOldest Asks for the oldest that the engine supports; called only where it matters.
 * @throws NoCommonVersion.
 */
export async function agree(
  newest: ApiVersion,
  askOldest: () => Promise<ApiVersion | undefined>,
): Promise<ApiVersion> {
  if (isOlder(newest, oldestSupported)) throw new NoCommonVersion(ranges(undefined, newest));
  if (!isOlder(newestSupported, newest)) return newest;
  const oldest = await askOldest();
  if (oldest !== undefined && isOlder(newestSupported, oldest))
    throw new NoCommonVersion(ranges(oldest, newest));
  return newestSupported;
}

function ranges(oldest: ApiVersion | undefined, newest: ApiVersion): string {
  const theirs = oldest === undefined ? "up to" : `${formatApiVersion(oldest)} to`;
  const ours = `${formatApiVersion(oldestSupported)} to ${formatApiVersion(newestSupported)}`;
  return `it supports API ${theirs} ${formatApiVersion(newest)}, docker-cri ${ours}`;
}

/** Caches the API version while the connection lives. Concurrent callers share one request. */
export class VersionNegotiator {
  #answer: Promise<ApiVersion> | undefined;

  /** @param ask Asks the engine. A failure is not cached. */
  constructor(private readonly ask: () => Promise<ApiVersion>) {}

  async version(): Promise<ApiVersion> {
    const answer = (this.#answer ??= this.ask());
    try {
      return await answer;
    } catch (error) {
      if (this.#answer === answer) this.#answer = undefined;
      throw error;
    }
  }

  /** To be called when the connection was lost: the next answer may come from another engine. */
  forget(): void {
    this.#answer = undefined;
  }
}
