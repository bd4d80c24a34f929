import { messageOf } from "../../base/index.js";
import type { ServeConfig } from "../../config/index.js";
import type { DockerService } from "../../docker/index.js";
import type { Host } from "../../host/index.js";
import type { NetworkStatus } from "../../network/index.js";

/** The result of a check. */
export interface Finding {
  readonly level: "ok" | "warn" | "fail";
  /** The subject, in a word or two. */
  readonly about: string;
  readonly found: string;
  /** What the operator can do, if there is a problem. */
  readonly advice?: string | undefined;
}

/** The node and configuration under examination. */
export interface Patient {
  readonly config: ServeConfig;
  readonly docker: DockerService;
  readonly host: Host;
  readonly network: () => Promise<NetworkStatus>;
  readonly node: NodeFacts;
}

/** Facts about the node that the ports do not provide. */
export interface NodeFacts {
  readonly uid: number;
  /** Whether a process listens on a Unix socket. */
  answers(path: string): Promise<boolean>;
  /** Whether the process that listens on a Unix socket is docker-cri. */
  isDockerCri(path: string): Promise<boolean>;
  /** Whether this user may make a file at the path. */
  mayWrite(path: string): Promise<boolean>;
  /** @throws ShimError with the reason why the endpoint cannot be served. */
  checkListen(endpoint: string, listen: ServeConfig["listen"]): Promise<void>;
}

/** One check. An error becomes a failure. */
export interface Check {
  readonly about: string;
  readonly look: (patient: Patient) => Promise<Omit<Finding, "about">>;
}

export const ok = (found: string) => ({ level: "ok" as const, found });
export const warn = (found: string, advice: string) => ({ level: "warn" as const, found, advice });
export const fail = (found: string, advice: string) => ({ level: "fail" as const, found, advice });

/** The longest wait for an answer. */
export const patienceMs = 10_000;

/** The findings of all checks, in their order. */
export async function examine(checks: readonly Check[], patient: Patient): Promise<Finding[]> {
  return Promise.all(
    checks.map(async ({ about, look }) => {
      try {
        return { about, ...(await look(patient)) };
      } catch (error) {
        return { about, level: "fail" as const, found: messageOf(error) };
      }
    }),
  );
}
