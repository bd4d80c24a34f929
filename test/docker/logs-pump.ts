import "reflect-metadata";
import { pino } from "pino";
import { parseConfig } from "../../src/config/index.js";
import { createDockerodeService } from "../../src/drivers/dockerode/index.js";
import { NodeHost } from "../../src/drivers/node/index.js";
import { ContainerLogs, type LogTarget } from "../../src/logs/index.js";

/**
 * The logs of a shim, as a process that can be killed: it takes up one log and ends once that is complete.
 * Arguments: the engine's endpoint, the container's id, the log path, the pod's log directory.
 */
const [endpoint = "", id = "", logPath = "", logRoot = ""] = process.argv.slice(2);
const log = pino(
  { level: process.env["LOGS_PUMP_LEVEL"] ?? "info" },
  pino.destination({ dest: 2, sync: true }),
);
const docker = createDockerodeService({ endpoint, requestTimeoutMs: 60_000, log });
const logs = new ContainerLogs(docker, new NodeHost(), parseConfig({}), log);
const target: LogTarget = { id, logPath, logRoot };
await logs.resume([target]);
process.on("SIGUSR2", () => {
  // Kubelet has renamed the file.
  logs.reopen(id).then(
    () => process.stdout.write("reopened\n"),
    (error: unknown) => process.stdout.write(`not reopened: ${String(error)}\n`),
  );
});
process.stdout.write("ready\n");
while (logs.counts.active > 0) await new Promise((resolve) => setTimeout(resolve, 20));
process.stdout.write("complete\n");
await logs.close();
await docker.close();
process.exit(0);
