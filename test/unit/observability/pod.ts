import { createClients } from "../../../src/client/index.js";
import type { Shim } from "../../../src/composition/index.js";

/** Starts a container in a pod of its own, with a log. @returns Its id. */
export async function startContainer(
  shim: Shim,
  { command }: { readonly command: readonly string[] },
): Promise<string> {
  const { runtime } = createClients(shim.inProcessTransport());
  const sandboxConfig = {
    metadata: { name: "pod", namespace: "default", uid: "uid-1" },
    logDirectory: "/var/log/pods/pod",
  };
  const { podSandboxId } = await runtime.runPodSandbox({ config: sandboxConfig });
  const { containerId } = await runtime.createContainer({
    podSandboxId,
    sandboxConfig,
    config: {
      metadata: { name: "c" },
      image: { image: "busybox:1.36" },
      command: [...command],
      logPath: "c/0.log",
    },
  });
  await runtime.startContainer({ containerId });
  return containerId;
}
