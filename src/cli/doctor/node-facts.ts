import { access, constants } from "node:fs/promises";
import { connect } from "node:net";
import { dirname } from "node:path";
import { createClients } from "../../client/index.js";
import { checkListen } from "../listen.js";
import type { NodeFacts } from "./finding.js";

const probeMs = 2_000;

/** The node that this process runs on. */
export const thisNode: NodeFacts = {
  uid: process.getuid?.() ?? 0,
  answers,
  isDockerCri,
  mayWrite,
  checkListen,
};

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(probeMs, () => {
      end(false);
    });
    socket.on("connect", () => {
      end(true);
    });
    socket.on("error", () => {
      end(false);
    });
  });
}

/** By the verbose status: only docker-cri describes its root directory there. */
async function isDockerCri(path: string): Promise<boolean> {
  const clients = createClients({ endpoint: `unix://${path}`, requestTimeoutMs: probeMs });
  try {
    const { info } = await clients.runtime.status({ verbose: true });
    return "rootDirectory" in (JSON.parse(info["config"] ?? "{}") as object);
  } catch {
    return false;
  } finally {
    clients.close();
  }
}

/** Missing folders are created, so the permissions of the nearest existing one decide. */
async function mayWrite(path: string): Promise<boolean> {
  const folder = dirname(path);
  try {
    await access(folder, constants.W_OK | constants.X_OK);
    return true;
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT" && folder !== path;
    return missing && mayWrite(folder);
  }
}
