import {
  familiarRepository,
  isKind,
  messageOf,
  onAbort,
  parseReference,
  ShimError,
  SingleFlight,
  type ImageReference,
  type Logger,
} from "../base/index.js";
import { RegistryUnavailable, type DockerService, type RegistryAuth } from "../docker/index.js";
import type { Inventory } from "../inventory/index.js";
import type { NodeCredentials } from "./node-credentials.js";
import { PullMonitor } from "./pull-monitor.js";

/** The login of a pull: none, the node's, or the request's credentials. */
export type PullLogin = "anonymous" | "node" | RegistryAuth;

/** Pulls since the start; a pull with several callers counts once. */
export interface PullCounts {
  readonly running: number;
  readonly succeeded: number;
  readonly failed: number;
}

/** The error prefix that kubelet matches. */
const registryUnavailable = "RegistryUnavailable";

/** Pulls images. Calls with the same reference and login share a pull. */
export class Pulls {
  private readonly shared: SingleFlight<string>;
  private readonly closed = new AbortController();
  private succeeded = 0;
  private failed = 0;

  /** @param progressDeadlineMs A pull without progress, or without a caller, is cancelled after this time. */
  constructor(
    private readonly docker: DockerService,
    private readonly inventory: Inventory,
    private readonly credentials: NodeCredentials,
    private readonly log: Logger,
    private readonly progressDeadlineMs: number,
  ) {
    this.shared = new SingleFlight("images.pull", {
      lingerMs: progressDeadlineMs,
      onUnobservedError: (error) => {
        log.warn({ err: messageOf(error) }, "an image pull failed after its callers disconnected");
      },
    });
  }

  /**
   * Pulls an image, or joins a running pull of it.
   * @returns The image ID. The inventory already has the image.
   * @throws ShimError "invalid-argument" for an invalid name, without a call to Docker; "not-found", "unauthenticated",
   *   "registry-unavailable", "resource-exhausted", "deadline-exceeded".
   */
  async pull(text: string, login: PullLogin, signal: AbortSignal): Promise<string> {
    const reference = parseReference(text);
    const name = dockerName(reference);
    const key = JSON.stringify([name, login]);
    return await this.shared.run(key, (abandoned) => this.run({ reference, name, login }, abandoned), signal);
  }

  get counts(): PullCounts {
    return { running: this.shared.size, succeeded: this.succeeded, failed: this.failed };
  }

  /** Cancels running pulls. */
  close(): void {
    this.closed.abort();
  }

  private async run(
    { reference, name, login }: { reference: ImageReference; name: string; login: PullLogin },
    abandoned: AbortSignal,
  ): Promise<string> {
    const { log, progressDeadlineMs, inventory } = this;
    const monitor = new PullMonitor(name, progressDeadlineMs, log);
    const removeAbandonedListener = onAbort(abandoned, () => {
      monitor.abort(abandoned.reason as ShimError);
    });
    const removeClosedListener = onAbort(this.closed.signal, () => {
      monitor.abort(new ShimError("unavailable", `the pull of ${name} was cancelled: the shim is closing`));
    });
    try {
      await this.withLogins(name, await this.logins(login, reference, monitor.signal), monitor);
      const record = await inventory.images.refresh(name);
      if (!record)
        throw new ShimError(
          "internal",
          `Docker reported the pull of ${name} as done, but does not have the image: pull it again`,
        );
      log.info({ image: name, id: record.id, ...monitor.close() }, "pulled an image");
      this.succeeded++;
      return record.id;
    } catch (error) {
      this.failed++;
      throw explained(error, name, reference);
    } finally {
      removeAbandonedListener();
      removeClosedListener();
      monitor.close();
    }
  }

  private async logins(
    login: PullLogin,
    reference: ImageReference,
    signal: AbortSignal,
  ): Promise<(RegistryAuth | undefined)[]> {
    if (login === "anonymous") return [undefined];
    if (login !== "node") return [login];
    const found = await this.credentials.find(reference, signal);
    return found.length === 0 ? [undefined] : found;
  }

  /** Tries the logins in order, as kubelet does. Only an authorization failure leads to the next one. */
  private async withLogins(
    name: string,
    [first, ...others]: readonly (RegistryAuth | undefined)[],
    monitor: PullMonitor,
  ): Promise<void> {
    try {
      const request = { reference: name, ...(first ? { auth: first } : {}) };
      for await (const progress of this.docker.images.pull(request, { signal: monitor.signal })) {
        monitor.onProgress(progress);
      }
    } catch (error) {
      // Some registries return not-found for repositories without access.
      if (others.length === 0 || !isKind(error, "unauthenticated", "not-found")) throw error;
      await this.withLogins(name, others, monitor);
    }
  }
}

/** The canonical name for Docker. A digest overrides the tag. */
function dockerName(reference: ImageReference): string {
  const repository = familiarRepository(reference);
  if (reference.digest !== undefined) return `${repository}@${reference.digest}`;
  return `${repository}:${reference.tag ?? "latest"}`;
}

function explained(error: unknown, name: string, { registry }: ImageReference): ShimError {
  if (!(error instanceof ShimError)) {
    return new ShimError("internal", `the pull of ${name} failed: ${messageOf(error)}`, { cause: error });
  }
  const { operation = "images.pull" } = error;
  if (error.cause instanceof RegistryUnavailable) {
    return new ShimError(
      "registry-unavailable",
      `${registryUnavailable}: could not pull ${name} from ${registry}: ${error.message}`,
      { operation, cause: error },
    );
  }
  if (error.kind === "deadline-exceeded" || error.kind === "cancelled") return error;
  return new ShimError(error.kind, `could not pull ${name}: ${error.message}`, { operation, cause: error });
}
