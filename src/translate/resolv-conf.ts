import type { DNSConfig } from "../gen/runtime/v1/api_pb.js";
import { invalid, quote } from "./validation.js";

/**
 * The content of a pod's resolv.conf. Undefined for an empty configuration: Docker's own file is used.
 * @throws ShimError "invalid-argument" for an entry that is not a single word of printable ASCII.
 */
export function resolvConf({ servers, searches, options }: DNSConfig): string | undefined {
  const lines = [
    ...words(servers, "servers").map((server) => `nameserver ${server}`),
    ...line("search", words(searches, "searches")),
    ...line("options", words(options, "options")),
  ];
  return lines.length === 0 ? undefined : `${lines.join("\n")}\n`;
}

function line(keyword: string, entries: readonly string[]): string[] {
  return entries.length === 0 ? [] : [[keyword, ...entries].join(" ")];
}

function words(entries: readonly string[], field: string): readonly string[] {
  for (const entry of entries) {
    if (!/^[\x21-\x7e]+$/.test(entry)) {
      throw invalid(
        `config.dns_config.${field}`,
        `contains ${quote(entry)}: an entry must be one word of resolv.conf`,
      );
    }
  }
  return entries;
}
