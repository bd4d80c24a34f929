import {
  familiarRepository,
  isKind,
  messageOf,
  onAbort,
  parseReference,
  ShimError,
  type ImageReference,
  type Logger,
} from "../base/index.js";
import { RegistryUnavailable, type DockerService, type RegistryAuth } from "../docker/index.js";
import type { Inventory } from "../inventory/index.js";
import type { NodeCredentials } from "./node-credentials.js";
import { PullWatch } from "./pull-watch.js";
import { SharedWork } from "./shared-work.js";

/** With what a pull logs in: nothing, what a request brought, or what the node has. */
export type PullLogin = "anonymous" | "node" | RegistryAuth;

export interface PullsOptions {
  readonly docker: DockerService;
  readonly inventory: Inventory;
  readonly credentials: NodeCredentials;
  readonly log: Logger;
  /** A pull without any progress for this long is ended, and so is one that nobody waits for. */
  readonly progressDeadlineMs: number;
}

/** The words with which kubelet wants the text to begin. */
const registryUnavailable = "RegistryUnavailable";

/** Pulls images; callers of one reference with one login share one pull. */
export class Pulls {
  private readonly shared: SharedWork<string>;
  private readonly closed = new AbortController();

  constructor(private readonly options: PullsOptions) {
    this.shared = new SharedWork("images.pull", options.progressDeadlineMs, (error) => {
      options.log.warn({ err: messageOf(error) }, "an image that nobody waited for was not pulled");
    });
  }

  /**
   * Pulls an image, or joins the pull of it that is under way.
   * @returns The image's id; the inventory has seen it.
   * @throws ShimError "invalid-argument" for what is no name, before Docker is asked; "not-found",
   *   "unauthenticated", "registry-unavailable", "resource-exhausted", "deadline-exceeded" as it went.
   */
  async pull(text: string, login: PullLogin, signal: AbortSignal): Promise<string> {
    const reference = parseReference(text);
    const name = dockerName(reference);
    return await this.shared.join(JSON.stringify([name, login]), signal, (unwanted) =>
      this.run({ reference, name, login }, unwanted),
    );
  }

  /** Ends the pulls under way. */
  close(): void {
    this.closed.abort();
  }

  private async run(
    { reference, name, login }: { reference: ImageReference; name: string; login: PullLogin },
    unwanted: AbortSignal,
  ): Promise<string> {
    const { log, progressDeadlineMs, inventory } = this.options;
    const watch = new PullWatch(name, progressDeadlineMs, log);
    const unlisten = onAbort(unwanted, () => {
      watch.abort(unwanted.reason as ShimError);
    });
    const stayOpen = onAbort(this.closed.signal, () => {
      watch.abort(new ShimError("unavailable", `the pull of ${name} was ended: the shim closes`));
    });
    try {
      await this.withLogins(name, await this.logins(login, reference, watch.signal), watch);
      const record = await inventory.images.refresh(name);
      if (!record) throw new ShimError("internal", `Docker pulled ${name}, but does not know it`);
      log.info({ image: name, id: record.id, ...watch.end() }, "pulled an image");
      return record.id;
    } catch (error) {
      throw explained(error, name, reference);
    } finally {
      unlisten();
      stayOpen();
      watch.end();
    }
  }

  private async logins(
    login: PullLogin,
    reference: ImageReference,
    signal: AbortSignal,
  ): Promise<(RegistryAuth | undefined)[]> {
    if (login === "anonymous") return [undefined];
    if (login !== "node") return [login];
    const found = await this.options.credentials.find(reference, signal);
    return found.length === 0 ? [undefined] : found;
  }

  /** Tries one login after the other, as kubelet does; only a refusal leads to the next. */
  private async withLogins(
    name: string,
    [first, ...others]: readonly (RegistryAuth | undefined)[],
    watch: PullWatch,
  ): Promise<void> {
    try {
      const request = { reference: name, ...(first ? { auth: first } : {}) };
      for await (const progress of this.options.docker.images.pull(request, { signal: watch.signal })) {
        watch.saw(progress);
      }
    } catch (error) {
      // A registry that hides what one may not see says that it is not there.
      if (others.length === 0 || !isKind(error, "unauthenticated", "not-found")) throw error;
      await this.withLogins(name, others, watch);
    }
  }
}

/** The one form in which Docker is asked for an image: where there is a digest, the tag says nothing. */
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
      `${registryUnavailable}: ${registry} did not give ${name}: ${error.message}`,
      { operation, cause: error },
    );
  }
  if (error.kind === "deadline-exceeded" || error.kind === "cancelled") return error;
  return new ShimError(error.kind, `could not pull ${name}: ${error.message}`, { operation, cause: error });
}
