import type { Finding } from "./finding.js";

const marks = { ok: "ok  ", warn: "WARN", fail: "FAIL" } as const;

/** The findings as text: one line each, and the advice below those that need it. */
export function textReport(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ about }) => about.length));
  const lines = findings.flatMap(({ level, about, found, advice }) => [
    `${marks[level]}  ${about.padEnd(width)}  ${found}`,
    ...(advice === undefined ? [] : [`${" ".repeat(6 + width)}  → ${advice}`]),
  ]);
  return [...lines, "", summary(findings)].join("\n");
}

/** The findings as JSON. */
export function jsonReport(findings: readonly Finding[]): string {
  return JSON.stringify({ healthy: isHealthy(findings), findings }, undefined, 2);
}

/** Whether docker-cri can serve this node. */
export function isHealthy(findings: readonly Finding[]): boolean {
  return findings.every(({ level }) => level !== "fail");
}

function summary(findings: readonly Finding[]): string {
  const count = (level: Finding["level"]) => findings.filter((finding) => finding.level === level).length;
  if (!isHealthy(findings)) return `This node is not ready: ${counted(count("fail"), "failure")}.`;
  const warnings = count("warn");
  return warnings === 0 ? "This node is ready." : `This node is ready, with ${counted(warnings, "warning")}.`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
