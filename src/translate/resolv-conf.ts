import type { DNSConfig } from "../gen/runtime/v1/api_pb.js";
import { invalid, quote } from "./checks.js";

/**
 * The text of a pod's resolv.conf; undefined when nothing is asked for, and Docker's own file stays.
 * @throws ShimError "invalid-argument" for an entry that would not be one word of the file.
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
        `holds ${quote(entry)}: an entry is one word of resolv.conf`,
      );
    }
  }
  return entries;
}
