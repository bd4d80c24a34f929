import "reflect-metadata";
import { pino } from "pino";
import { parseConfig } from "../../../src/config/index.js";
import type { DockerContainer, DockerContainerSpec } from "../../../src/docker/index.js";
import { createMemoryDocker, type MemoryDocker } from "../../../src/drivers/memory/index.js";
import { Inventory, type LifeEvent } from "../../../src/inventory/index.js";
import { containerLabels, containerName, sandboxLabels, sandboxName } from "../../../src/translate/index.js";
import {
  ContainerConfigSchema,
  PodSandboxConfigSchema,
  type PodSandboxConfig,
} from "../../../src/gen/runtime/v1/api_pb.js";
import { create } from "@bufbuild/protobuf";

/** A memory engine, an inventory that follows it, and the steps that the inventory told. */
export interface InventoryLab extends AsyncDisposable {
  readonly engine: MemoryDocker;
  readonly inventory: Inventory;
  readonly steps: LifeEvent[];
  /** The ids that Docker was asked to inspect. */
  readonly inspected: string[];
  /** What becomes of an inspect's answer before the inventory has it. */
  onAnswer: (answer: DockerContainer) => DockerContainer | Promise<DockerContainer>;
  /** One more inventory of the same engine, as after a restart of the shim. */
  second(): Inventory;
}

export const image = "busybox:1.36";

export async function openInventory(options: { readonly ready?: boolean } = {}): Promise<InventoryLab> {
  const engine = createMemoryDocker({ images: [image, "registry.k8s.io/pause:3.10"] });
  const opened: Inventory[] = [];
  const inspected: string[] = [];
  const open = () => {
    const config = parseConfig({ engine: { kind: "memory" } });
    const docker = engine.connect();
    const inspect = docker.containers.inspect.bind(docker.containers);
    docker.containers.inspect = async (...args) => {
      inspected.push(args[0]);
      return await lab.onAnswer(await inspect(...args));
    };
    const inventory = new Inventory(docker, engine.host, config, pino({ level: "silent" }));
    opened.push(inventory);
    return inventory;
  };
  const steps: LifeEvent[] = [];
  const lab: Pick<InventoryLab, "onAnswer"> = { onAnswer: (answer) => answer };
  const inventory = open();
  inventory.subscribe((step) => steps.push(step));
  if (options.ready !== false) {
    inventory.start();
    await inventory.whenReady({ deadlineMs: 5_000 });
  }
  return Object.assign(lab, {
    engine,
    inventory,
    steps,
    inspected,
    second: open,
    async [Symbol.asyncDispose]() {
      engine.faults.clear();
      await Promise.all(opened.map((each) => each.close()));
      await engine.close();
    },
  });
}

export function podConfig(name: string): PodSandboxConfig {
  return create(PodSandboxConfigSchema, {
    metadata: { name, namespace: "default", uid: `uid-${name}`, attempt: 0 },
    labels: { app: name },
  });
}

/** A sandbox as the shim would create it, made behind the inventory's back. */
export async function makeSandbox(engine: MemoryDocker, name: string, start = true): Promise<string> {
  const config = podConfig(name);
  if (!config.metadata) throw new Error("no metadata");
  const spec: DockerContainerSpec = {
    name: sandboxName(config.metadata),
    config: { image: "registry.k8s.io/pause:3.10", labels: sandboxLabels(config) },
    host: { networkMode: "none" },
  };
  const { id } = await engine.containers.create(spec);
  if (start) await engine.containers.start(id);
  return id;
}

/** A container in a sandbox, made likewise. */
export async function makeContainer(
  engine: MemoryDocker,
  pod: string,
  sandboxId: string,
  options: { readonly name?: string; readonly command?: readonly string[]; readonly start?: boolean } = {},
): Promise<string> {
  const { id } = await engine.containers.create(containerIn(pod, sandboxId, options));
  if (options.start !== false) await engine.containers.start(id);
  return id;
}

/** A container as the shim would ask for it. */
export function containerIn(
  pod: string,
  sandboxId: string,
  options: { readonly name?: string; readonly command?: readonly string[] } = {},
): DockerContainerSpec {
  const { name = "main", command = ["sleep", "infinity"] } = options;
  const sandboxConfig = podConfig(pod);
  const config = create(ContainerConfigSchema, { metadata: { name, attempt: 0 }, image: { image } });
  if (!sandboxConfig.metadata || !config.metadata) throw new Error("no metadata");
  return {
    name: containerName(sandboxConfig.metadata, config.metadata),
    config: { image, command, labels: containerLabels(config, sandboxConfig, sandboxId) },
    host: {},
  };
}

/**
 * Waits until `holds`, at most `withinMs`. That is counted in waits of 10 ms: time in which this process did not run, as
 * other processes had the CPU, does not count. @throws Error naming what did not come true.
 */
export async function eventually(what: string, holds: () => boolean, withinMs = 3_000): Promise<void> {
  for (let waitedMs = 0; !holds(); waitedMs += 10) {
    if (waitedMs > withinMs) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
