import { Command, CommanderError, Option } from "commander";
import { loadServeConfig } from "../config/index.js";
import { exitCodes } from "./exit.js";
import { helpWidth, tallHelp } from "./help.js";
import { say, type Io } from "./io.js";
import type { LogsOptions } from "./logs.js";
import { awaitEndSignal } from "./signals.js";
import { addServeFlags, givenFlags, isServeFlag } from "./serve-options.js";
import { buildInfo, version } from "./version.js";

const about = `Docker as a container runtime for Kubernetes: answers CRI v1 calls with Docker Engine.

A first look, without Docker and without root:   docker-cri demo
Is this node ready?                              docker-cri doctor
Serve a kubelet or crictl:                       docker-cri serve`;

const exits = `
Exit codes:
  ${exitCodes.ok}  done
  ${exitCodes.failure}  something did not work
  ${exitCodes.usage}  the command line or the configuration is wrong`;

const aboutServe = `Serves CRI v1 on a socket until SIGTERM or SIGINT. Pods run on. A second signal ends it at once.

Flags go by cri-dockerd's names, so that its unit file needs its program changed and nothing else.
Logs are JSON lines on standard error.`;

const serveExamples = `
Examples:
  docker-cri serve
  docker-cri serve --container-runtime-endpoint fd:// --network-plugin cni
  docker-cri serve --engine memory --container-runtime-endpoint unix:///tmp/cri.sock
  docker-cri serve --config /etc/docker-cri/config.yaml

Then, on the same node:
  crictl --runtime-endpoint unix:///run/docker-cri.sock info

A kubelet's configuration needs
  containerRuntimeEndpoint: unix:///run/docker-cri.sock
and kubeadm's needs it as nodeRegistration.criSocket, always: a Docker host has a second runtime's
socket, containerd's, and kubeadm does not choose.
`;

const aboutDoctor = `Checks whether this node can run docker-cri: Docker and its API version, cgroups, the pods' network,
the sandbox image, sockets and rights. Says of each finding what to do about it. Changes nothing.

Takes every flag of serve, so that the very command line that is to serve can be checked.
Exits with ${exitCodes.failure} when a check fails; warnings do not count.`;

const aboutDemo = `Shows a pod's whole life: an engine in memory behind a real Unix socket, and a client that pulls
an image, runs a pod, starts a container in it, runs a command, reads its log, and removes everything.
Needs neither Docker nor root, and leaves nothing behind.`;

const aboutLogs = `Prints the log file of a container, in CRI's format or Docker's, across rotations. Each line goes to
the stream that the container wrote it to. The path is the log path that \`crictl inspect\` shows.`;

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
  const command = prepare(new Command("demo"), io).summary("watch a pod's whole life").description(aboutDemo);
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
    .option("-f, --follow", "go on with what comes, until SIGINT")
    .option("-n, --tail <lines>", "only the last so many lines")
    .option("--since <time>", "only from then on: 2026-01-31T12:00:00Z, or 10m for ten minutes ago")
    .option("--limit-bytes <bytes>", "at most so much text")
    .option("--stream <name>", "stdout or stderr alone")
    .option("-t, --timestamps", "each line's time before it");
  return command.action(async (path: string, options: LogsOptions) => {
    const { logs } = await import("./logs.js");
    using end = awaitEndSignal();
    exit(await logs(path, options, io, end.signal));
  });
}

function configOption(): Option {
  return new Option("--config <file>", "YAML or JSON file with the configuration; flags win over it");
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
  if (!command.parent && isServeFlag(flag)) return `it is a flag of serve: docker-cri serve ${flag} …`;
  return `see ${pathOf(command)} --help`;
}

function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();
}
