import { sleep, ShimError } from "../../base/index.js";
import type { Clients } from "../../client/index.js";
import { ContainerState, PodSandboxState } from "../../gen/runtime/v1/api_pb.js";
import type { Story } from "./story.js";

const image = { image: "busybox:1.36" };
const logDirectory = "/var/log/pods/default_hello_1";
const logPath = "hello/0.log";
const logLines = 4;
const logMs = 5_000;
const script = [
  'trap "echo bye; exit 0" TERM',
  'echo "hello from pod $HOSTNAME"',
  'echo "tick 1"; echo "tick 2"; echo "tick 3"',
  "sleep 600 & wait",
].join("\n");

const podConfig = {
  metadata: { name: "hello", namespace: "default", uid: "1", attempt: 0 },
  hostname: "hello",
  logDirectory,
  labels: { app: "hello" },
  linux: {},
};

const containerConfig = {
  metadata: { name: "hello", attempt: 0 },
  image,
  command: ["sh", "-c", script],
  logPath,
};

/** A pod's life, from Version to RemovePodSandbox. */
export async function tellLife(story: Story, clients: Clients, readFile: (path: string) => Promise<Buffer>) {
  await meet(story, clients);
  const podSandboxId = await birth(story, clients);
  const containerId = await work(story, clients, podSandboxId);
  await look(story, clients, podSandboxId, containerId, readFile);
  await end(story, clients, podSandboxId, containerId);
}

async function meet(story: Story, { runtime, images }: Clients): Promise<void> {
  await story.step("Version", runtime.version({}), (answer) => [
    `${answer.runtimeName} ${answer.runtimeVersion}, CRI ${answer.runtimeApiVersion}`,
  ]);
  await story.step("Status", runtime.status({}), ({ status }) =>
    (status?.conditions ?? []).map(({ type, status: holds }) => `${type} ${holds ? "yes" : "no"}`).join(", "),
  );
  await story.step(
    "PullImage",
    images.pullImage({ image }),
    ({ imageRef }) => `${image.image} is ${short(imageRef)}`,
  );
}

async function birth(story: Story, { runtime }: Clients): Promise<string> {
  const { podSandboxId } = await story.step(
    "RunPodSandbox",
    runtime.runPodSandbox({ config: podConfig }),
    (answer) => `pod hello is ${short(answer.podSandboxId)}`,
  );
  await story.step(
    "PodSandboxStatus",
    runtime.podSandboxStatus({ podSandboxId }),
    ({ status }) =>
      `${PodSandboxState[status?.state ?? PodSandboxState.SANDBOX_NOTREADY]}, address ${status?.network?.ip ?? "none"}`,
  );
  return podSandboxId;
}

async function work(story: Story, { runtime }: Clients, podSandboxId: string): Promise<string> {
  const { containerId } = await story.step(
    "CreateContainer",
    runtime.createContainer({ podSandboxId, config: containerConfig, sandboxConfig: podConfig }),
    (answer) => `container hello is ${short(answer.containerId)}`,
  );
  await story.step("StartContainer", runtime.startContainer({ containerId }), () => "running");
  return containerId;
}

async function look(
  story: Story,
  { runtime }: Clients,
  podSandboxId: string,
  containerId: string,
  readFile: (path: string) => Promise<Buffer>,
): Promise<void> {
  const command = ["sh", "-c", "echo a command in the same container; exit 7"];
  await story.step("ExecSync", runtime.execSync({ containerId, cmd: command, timeout: 5n }), (answer) => [
    `exit code ${answer.exitCode}, stdout: ${new TextDecoder().decode(answer.stdout).trim()}`,
  ]);
  await story.step("(the log file)", logOf(readFile), (lines) => [`${logDirectory}/${logPath}`, ...lines]);
  await story.step("ListContainers", runtime.listContainers({ filter: { podSandboxId } }), ({ containers }) =>
    containers.map(
      ({ id, metadata, state }) => `${short(id)} ${metadata?.name ?? ""} ${ContainerState[state]}`,
    ),
  );
}

async function end(
  story: Story,
  { runtime }: Clients,
  podSandboxId: string,
  containerId: string,
): Promise<void> {
  await story.step(
    "StopContainer",
    runtime.stopContainer({ containerId, timeout: 5n }),
    () => "SIGTERM, within 5 s",
  );
  await story.step(
    "ContainerStatus",
    runtime.containerStatus({ containerId }),
    ({ status }) =>
      `${ContainerState[status?.state ?? ContainerState.CONTAINER_UNKNOWN]}, exit code ${status?.exitCode ?? "unknown"}, reason ${status?.reason ?? ""}`,
  );
  await story.step("RemoveContainer", runtime.removeContainer({ containerId }), () => "removed");
  await story.step(
    "StopPodSandbox",
    runtime.stopPodSandbox({ podSandboxId }),
    () => "its network is released",
  );
  await story.step("RemovePodSandbox", runtime.removePodSandbox({ podSandboxId }), () => "removed");
  await story.step("ListPodSandbox", runtime.listPodSandbox({}), ({ items }) => `${items.length} pods left`);
}

/** The log's lines, once it is complete: it is written some milliseconds after the container's output. */
async function logOf(readFile: (path: string) => Promise<Buffer>): Promise<string[]> {
  const deadline = Date.now() + logMs;
  for (;;) {
    const text = await readFile(`${logDirectory}/${logPath}`).then(String, () => "");
    const lines = text.split("\n").filter((line) => line !== "");
    if (lines.length >= logLines) return lines;
    if (Date.now() > deadline)
      throw new ShimError(
        "deadline-exceeded",
        `the container's log has ${lines.length} lines after ${logMs} ms`,
      );
    await sleep(20);
  }
}

/** An id as Docker's own tools show it. */
function short(id: string): string {
  return id.replace(/^sha256:/, "").slice(0, 12);
}
