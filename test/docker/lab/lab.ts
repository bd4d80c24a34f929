import { loadBasicImages } from "../images/sets.js";
import { startContainerd, stopContainerd, type Containerd, type ContainerdOptions } from "./containerd.js";
import { startCriDockerd, type CriDockerd, type CriDockerdOptions } from "./cri-dockerd.js";
import { startDockerd, type Dockerd, type DockerdOptions } from "./dockerd.js";
import { startRegistry, type Registry, type RegistryOptions } from "./registry.js";
import { startService, type Service, type ServiceOptions } from "./service.js";
import { say } from "./say.js";

/** Things started for tests, and one list of what must be undone. */
export interface Lab extends AsyncDisposable {
  /** Starts an engine with busybox:1.36 and registry.k8s.io/pause:3.10; `images: false` leaves it empty. */
  dockerd(options?: DockerdOptions & { readonly images?: boolean }): Promise<Dockerd>;
  /** Starts a registry on the loopback interface. */
  registry(options?: RegistryOptions): Promise<Registry>;
  /** Starts cri-dockerd v0.4.4 on an engine. */
  criDockerd(options: CriDockerdOptions): Promise<CriDockerd>;
  /** Starts the containerd of Debian 14. */
  containerd(options: ContainerdOptions): Promise<Containerd>;
  /** Runs a program beside the tests. */
  service(options: ServiceOptions): Promise<Service>;
  /** Adds something to undo. The last added is undone first; what fails does not keep the others from it. */
  defer(what: string, undo: () => Promise<void> | void): void;
  /** Undoes everything. @throws AggregateError when something could not be undone. */
  close(): Promise<void>;
}

/**
 * Opens a lab. It is closed by `close`, by `await using`, and when this process is interrupted or asked
 * to end. What a killed process leaves behind, the next lab removes.
 * @throws Error when this is not Linux or this process is not root.
 */
export function openLab(): Lab {
  if (process.platform !== "linux" || process.getuid?.() !== 0)
    throw new Error("the lab starts Docker Engines: it needs Linux and root");
  return new OpenLab();
}

/** Runs `work` with a lab that is closed when it ends, however it ends. */
export async function withLab<T>(work: (lab: Lab) => Promise<T>): Promise<T> {
  await using lab = openLab();
  return await work(lab);
}

class OpenLab implements Lab {
  readonly #undo: { readonly what: string; readonly run: () => Promise<void> | void }[] = [];
  #closing: Promise<void> | undefined;
  readonly #interrupt = (name: NodeJS.Signals): void => {
    say(`${name}: cleaning up …`);
    void this.close()
      .catch((error: unknown) => {
        say(String(error));
      })
      .finally(() => process.exit(name === "SIGINT" ? 130 : 143));
  };

  constructor() {
    process.on("SIGINT", this.#interrupt).on("SIGTERM", this.#interrupt);
  }

  async dockerd({
    images = true,
    ...options
  }: DockerdOptions & { readonly images?: boolean } = {}): Promise<Dockerd> {
    const dockerd = await startDockerd(options);
    this.defer(`dockerd "${dockerd.name}"`, async () => {
      await dockerd.stop();
    });
    if (images) await loadBasicImages(dockerd);
    return dockerd;
  }

  async registry(options: RegistryOptions = {}): Promise<Registry> {
    const registry = await startRegistry(options);
    this.defer("the registry", async () => {
      await registry.stop();
    });
    return registry;
  }

  async criDockerd(options: CriDockerdOptions): Promise<CriDockerd> {
    const criDockerd = await startCriDockerd(options);
    this.defer("cri-dockerd", async () => {
      await criDockerd.service.stop();
    });
    return criDockerd;
  }

  async containerd(options: ContainerdOptions): Promise<Containerd> {
    const containerd = await startContainerd(options);
    this.defer("containerd", async () => {
      await stopContainerd(containerd);
    });
    return containerd;
  }

  async service(options: ServiceOptions): Promise<Service> {
    const service = await startService(options);
    this.defer(service.name, async () => {
      await service.stop();
    });
    return service;
  }

  defer(what: string, undo: () => Promise<void> | void): void {
    this.#undo.push({ what, run: undo });
  }

  async close(): Promise<void> {
    this.#closing ??= this.#close();
    await this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    const failures: unknown[] = [];
    for (let each = this.#undo.pop(); each !== undefined; each = this.#undo.pop()) {
      try {
        await each.run();
      } catch (error) {
        failures.push(new Error(`stopping ${each.what}`, { cause: error }));
      }
    }
    process.off("SIGINT", this.#interrupt).off("SIGTERM", this.#interrupt);
    if (failures.length > 0) throw new AggregateError(failures, "the lab could not undo everything");
  }
}
