import { mkdir } from "node:fs/promises";
import { createConnection } from "node:net";
import { join } from "node:path";
import { startService, type Service } from "./service.js";
import { criDockerdProgram } from "./tools.js";

/** How to start cri-dockerd. Every folder that is not given is one of its own, gone when it stops. */
export interface CriDockerdOptions {
  /** The engine, as `unix://…`. */
  readonly dockerEndpoint: string;
  /** Where it serves. Default: a socket in its own folder. */
  readonly socketPath?: string;
  readonly rootFolder?: string;
  /** "cni", or "" for Docker's own bridge. Default: "". */
  readonly networkPlugin?: "" | "cni" | "kubenet";
  readonly cniConfFolder?: string;
  readonly cniBinFolder?: string;
  readonly cniCacheFolder?: string;
  readonly pauseImage?: string;
  /** Address of its streaming server. Default: a free port of 127.0.0.1. */
  readonly streamingAddress?: string;
  readonly extraArgs?: readonly string[];
}

/** A running cri-dockerd: its process, and where it serves. */
export interface CriDockerd {
  readonly service: Service;
  readonly socketPath: string;
  /** The socket as CRI's clients name it: `unix://…`. */
  readonly endpoint: string;
}

/**
 * Starts cri-dockerd v0.4.4, building it the first time (about two minutes), and waits until its socket
 * takes connections. It asks for negative OOM scores: on a machine without CAP_SYS_RESOURCE its engine
 * needs `liftNegativeOomScore`.
 * @throws Error with the end of its log when it does not serve; CommandError when it cannot be built.
 */
export async function startCriDockerd(options: CriDockerdOptions): Promise<CriDockerd> {
  const command = await criDockerdProgram();
  const socketIn = (folder: string): string => options.socketPath ?? join(folder, "cri-dockerd.sock");
  const service = await startService({
    name: "cri-dockerd",
    command,
    args: async (folder) => {
      const cniConf = options.cniConfFolder ?? join(folder, "cni");
      await mkdir(cniConf, { recursive: true });
      return [
        `--docker-endpoint=${options.dockerEndpoint}`,
        `--container-runtime-endpoint=unix://${socketIn(folder)}`,
        `--cri-dockerd-root-directory=${options.rootFolder ?? join(folder, "root")}`,
        `--network-plugin=${options.networkPlugin ?? ""}`,
        `--cni-conf-dir=${cniConf}`,
        `--cni-bin-dir=${options.cniBinFolder ?? "/usr/lib/cni"}`,
        `--cni-cache-dir=${options.cniCacheFolder ?? join(folder, "cni-cache")}`,
        `--pod-infra-container-image=${options.pauseImage ?? "registry.k8s.io/pause:3.10"}`,
        `--streaming-bind-addr=${options.streamingAddress ?? "127.0.0.1:0"}`,
        ...(options.extraArgs ?? []),
      ];
    },
    ready: async (folder) => await accepts(socketIn(folder)),
  });
  const socketPath = socketIn(service.folder);
  return { service, socketPath, endpoint: `unix://${socketPath}` };
}

/** Whether a Unix socket takes a connection. */
export async function accepts(socketPath: string): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = createConnection(socketPath)
      .on("connect", () => {
        socket.destroy();
        resolve(true);
      })
      .on("error", () => {
        resolve(false);
      });
  });
}
