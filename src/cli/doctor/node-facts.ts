import { access, constants } from "node:fs/promises";
import { connect } from "node:net";
import { dirname } from "node:path";
import { checkListen } from "../listen.js";
import type { NodeFacts } from "./finding.js";

const probeMs = 2_000;

/** The node that this process runs on. */
export const thisNode: NodeFacts = {
  uid: process.getuid?.() ?? 0,
  answers,
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
