import { pino } from "pino";
import { makeDrivers } from "../../composition/drivers.js";
import type { ServeConfig } from "../../config/index.js";
import { createNetwork } from "../../network/index.js";
import { exitCodes } from "../exit.js";
import { say, type Io } from "../io.js";
import { dockerAnswers, dockerChecks } from "./docker-checks.js";
import { examine, type Finding, type Patient } from "./finding.js";
import { nodeChecks } from "./node-checks.js";
import { thisNode } from "./node-facts.js";
import { isHealthy, jsonReport, textReport } from "./report.js";

/**
 * Checks whether this node can run docker-cri with the configuration, and prints the findings.
 * @param options.notes Notes about the flags.
 * @returns The exit code: 1 when a check failed.
 */
export async function doctor(
  config: ServeConfig,
  { json, notes }: { json: boolean; notes: readonly string[] },
  io: Io,
): Promise<number> {
  const log = pino({ level: "silent" });
  const { docker, host } = await makeDrivers(config, log);
  const network = async () => {
    const network = createNetwork(config, host, log);
    await network.start();
    const status = network.status();
    await network.close();
    return status;
  };
  const found = await diagnose({ config, docker, host, network, node: thisNode });
  const findings = [
    ...found,
    ...notes.map((note) => ({ level: "warn" as const, about: "flag", found: note })),
  ];
  await docker.close();
  say(io.stdout, json ? jsonReport(findings) : textReport(findings));
  return isHealthy(findings) ? exitCodes.ok : exitCodes.failure;
}

/** All findings. If Docker does not answer, the other checks of Docker are skipped. */
export async function diagnose(patient: Patient): Promise<Finding[]> {
  const [first] = await examine([dockerAnswers], patient);
  const checks = first?.level === "ok" ? [...dockerChecks, ...nodeChecks] : nodeChecks;
  return [...(first ? [first] : []), ...(await examine(checks, patient))];
}
