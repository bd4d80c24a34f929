import { builtinPrograms } from "./builtins.js";
import type { Program } from "./program.js";

const folders = /^\/(?:usr\/)?(?:local\/)?s?bin\//;

/** The programs that containers can run, by name or by whole path. */
export class Programs {
  private readonly own = new Map<string, Program>();

  /** Adds a program, or puts it in the place of another. @param name `worker`, or a path such as `/app/worker`. */
  set(name: string, program: Program): void {
    this.own.set(name, program);
  }

  delete(name: string): void {
    this.own.delete(name);
  }

  /**
   * @param command What a container's configuration names.
   * @param only The programs that the image has; every one when undefined.
   */
  find(command: string, only?: readonly string[]): Program | undefined {
    const own = this.own.get(command);
    if (own) return own;
    if (only && !only.includes(command)) return undefined;
    const name = folders.test(command) ? command.replace(folders, "") : command;
    const builtins = builtinPrograms((inner) => this.find(inner, only));
    if (command === "/pause") return builtins["pause"];
    return this.own.get(name) ?? (Object.hasOwn(builtins, name) ? builtins[name] : undefined);
  }
}
