import { Command, CommanderError, Option } from "commander";
import { loadServeConfig } from "../config/index.js";
import { exitCodes } from "./exit.js";
import { helpWidth, tallHelp } from "./help.js";
import { say, type Io } from "./io.js";
import type { LogsOptions } from "./logs.js";
import { awaitEndSignal } from "./signals.js";
import { addServeFlags, givenFlags, isServeFlag } from "./serve-options.js";
import { buildInfo, version } from "./version.js";

const about = `Docker Engine as a container runtime for Kubernetes, over CRI v1.

Try it without Docker or root:   docker-cri demo
Check this node:                 docker-cri doctor
Serve a kubelet or crictl:       docker-cri serve`;

const exits = `
Exit codes:
  ${exitCodes.ok}  success
  ${exitCodes.failure}  failure
  ${exitCodes.usage}  invalid command line or configuration; a retry cannot help`;

const aboutServe = `Serves CRI v1 on a socket until SIGTERM or SIGINT; pods keep running. A second signal exits at once.

Accepts cri-dockerd's flags, so that only the program in its unit file has to change.
Logs are JSON lines on standard error.`;

const serveExamples = `
Examples:
  docker-cri serve
  docker-cri serve --container-runtime-endpoint fd:// --network-plugin cni
  docker-cri serve --engine memory --container-runtime-endpoint unix:///tmp/cri.sock
  docker-cri serve --config /etc/docker-cri/config.yaml

Then, on the same node:
  crictl --runtime-endpoint unix:///run/docker-cri.sock info

In the kubelet's configuration, set
  containerRuntimeEndpoint: unix:///run/docker-cri.sock
In kubeadm's, always set nodeRegistration.criSocket to the same value: a Docker host also has
containerd's socket, and kubeadm does not choose between them.
`;

const aboutDoctor = `Checks whether this node can run docker-cri: Docker and its API version, cgroups, the pod network,
the sandbox image, sockets and permissions. Prints what to do about each problem. Changes nothing.

Accepts every flag of serve: pass the flags that serve will run with.
Exits with ${exitCodes.failure} when a check fails. Warnings do not count as failures.`;

const aboutDemo = `Runs a pod on an in-memory engine, over a real Unix socket: pulls an image, runs a pod, starts a
container, executes a command, reads the log, and removes everything.
Needs neither Docker nor root, and leaves nothing behind.`;

const aboutLogs = `Prints a container's log file, in CRI's or Docker's JSON format, and follows it across rotations.
Lines go to stdout or stderr, as the container wrote them. \`crictl inspect\` shows the path as logPath.`;

/** The command line. Commands are loaded when they are run. */
export function createProgram(io: Io, exit: (code: number) => void): Command {
  const program = new Command("docker-cri").description(about).addHelpText("after", exits);
  prepare(program, io);
  program
    .addCommand(serveCommand(io, exit))
    .addCommand(doctorCommand(io, exit))
    .addCommand(demoCommand(io, exit))
    .addCommand(logsCommand(io, exit));
  return program;
}

function serveCommand(io: Io, exit: (code: number) => void): Command {
  const command = tallHelp(prepare(new Command("serve"), io))
    .summary("serve CRI on a socket")
    .description(aboutServe)
    .addHelpText("after", serveExamples + exits);
  addServeFlags(command).addOption(configOption());
  return command.action(async () => {
    const { config, notes } = await loadServeConfig(givenFlags(command), io.environment);
    const { serve } = await import("./serve.js");
    exit(await serve(config, notes, io.environment));
  });
}

function doctorCommand(io: Io, exit: (code: number) => void): Command {
  const command = prepare(new Command("doctor"), io).summary("check this node").description(aboutDoctor);
  addServeFlags(command, { hidden: true })
    .addOption(configOption())
    .option("--json", "print the findings as JSON");
  return command.action(async ({ json }: { json?: true }) => {
    const { config, notes } = await loadServeConfig(givenFlags(command), io.environment);
    const { doctor } = await import("./doctor/index.js");
    exit(await doctor(config, { json: json ?? false, notes }, io));
  });
}

function demoCommand(io: Io, exit: (code: number) => void): Command {
  const command = prepare(new Command("demo"), io)
    .summary("run a pod on an in-memory engine")
    .description(aboutDemo);
  return command.action(async () => {
    const { demo } = await import("./demo/index.js");
    exit(await demo(io));
  });
}

function logsCommand(io: Io, exit: (code: number) => void): Command {
  const command = prepare(new Command("logs"), io)
    .summary("print a container's log file")
    .description(aboutLogs)
    .argument("<path>", "the log file")
    .option("-f, --follow", "print new lines as they come, until SIGINT")
    .option("-n, --tail <lines>", "print only the last lines")
    .option(
      "--since <time>",
      "print lines since a time, such as 2026-01-31T12:00:00Z, or 10m for ten minutes ago",
    )
    .option("--limit-bytes <bytes>", "print at most this many bytes")
    .option("--stream <name>", "print only stdout or only stderr")
    .option("-t, --timestamps", "print the timestamp before each line");
  return command.action(async (path: string, options: LogsOptions) => {
    const { logs } = await import("./logs.js");
    using end = awaitEndSignal();
    exit(await logs(path, options, io, end.signal));
  });
}

function configOption(): Option {
  return new Option("--config <file>", "YAML or JSON configuration file; flags override it");
}

/** What all commands have in common. */
function prepare(command: Command, io: Io): Command {
  command
    .exitOverride()
    .helpOption("-h, --help", "print this help and exit")
    .configureOutput({
      getOutHelpWidth: () => helpWidth,
      getErrHelpWidth: () => helpWidth,
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      outputError: (text, write) => {
        write(
          `docker-cri: ${text
            .trim()
            .replace(/^error: |\.$/g, "")
            .replace("\n", " ")}; ${adviceFor(command, text)}\n`,
        );
      },
    })
    .option("--version", "print the version and exit")
    .option("--buildinfo", "print the versions of docker-cri, Node and the libraries, and exit");
  printAndExit(command, "version", io, () => `docker-cri ${version()}`);
  printAndExit(command, "buildinfo", io, buildInfo);
  return command;
}

function printAndExit(command: Command, option: string, io: Io, text: () => string): void {
  command.on(`option:${option}`, () => {
    say(io.stdout, text());
    throw new CommanderError(exitCodes.ok, `docker-cri.${option}`, option);
  });
}

function adviceFor(command: Command, error: string): string {
  const [, flag = ""] = /unknown option '(--[^'=]+)/.exec(error) ?? [];
  if (!command.parent && isServeFlag(flag)) return `it is a flag of serve: use docker-cri serve ${flag}`;
  return `see ${pathOf(command)} --help`;
}

function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();
}
