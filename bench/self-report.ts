/**
 * A module for `node --import` that has a process write down, at SIGUSR2, what it has open: timers, sockets and
 * the like by kind, and what is left of its heap after a collection. It is plain JavaScript, for it is loaded
 * into the built program.
 * @param folder Where `self-report-PID.json` goes.
 */
export function selfReportModule(folder: string): string {
  const source = `
    import { writeFileSync } from "node:fs";
    import { setFlagsFromString } from "node:v8";
    import { runInNewContext } from "node:vm";
    process.on("SIGUSR2", () => {
      setFlagsFromString("--expose-gc");
      runInNewContext("gc")();
      const resources = {};
      for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1;
      const report = JSON.stringify({ resources, heapUsedBytes: process.memoryUsage().heapUsed });
      writeFileSync(${JSON.stringify(folder)} + "/self-report-" + process.pid + ".json", report + "\\n");
    });
  `;
  return `data:text/javascript,${encodeURIComponent(source)}`;
}
