import type { DockerExecSpec, DockerExecState } from "../../docker/index.js";
import type { Container } from "./containers/container.js";
import type { Process } from "./processes/process.js";
import type { Terminal } from "./terminal.js";

/** One further process of a container: made, started, ended. */
export class Exec {
  started = false;
  process: Process | undefined;
  terminal: Terminal | undefined;
  /** Of a command that could not be run. */
  failedCode: number | undefined;

  constructor(
    readonly id: string,
    readonly container: Container,
    readonly spec: DockerExecSpec,
  ) {}

  get running(): boolean {
    return this.process?.alive === true;
  }

  state(): DockerExecState {
    const exitCode = this.failedCode ?? this.process?.exitCode;
    return {
      running: this.running,
      ...(exitCode === undefined ? {} : { exitCode }),
      ...(this.process ? { pid: this.process.pid } : {}),
    };
  }
}
