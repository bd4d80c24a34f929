import { describeProgram, type DescribedCommand, type DescribedOption } from "./commands.js";

/**
 * The man page docker-cri(8).
 * @param date Of the release, as `2026-01-31`.
 * @see groff_man(7)
 */
export function manualPage(version: string, date: string): string {
  const { program, commands } = describeProgram();
  const lines = [
    `.TH DOCKER\\-CRI 8 "${date}" "docker\\-cri ${version}" "System administration"`,
    ".SH NAME",
    "docker\\-cri \\- Docker as a container runtime for Kubernetes",
    ".SH SYNOPSIS",
    ...commands.flatMap((command) => [
      ".B docker\\-cri",
      `.RI "${["\\fB" + command.name + "\\fR", "[options]", ...command.arguments].map(escaped).join(" ")}"`,
      ".br",
    ]),
    ".SH DESCRIPTION",
    ...paragraphs(program.description),
    ...commands.flatMap(commandLines),
    ".SH EXIT STATUS",
    ...[
      ["0", "Done."],
      ["1", "Something did not work."],
    ].flatMap(([code, text]) => item(code, text)),
    ...item("2", "The command line or the configuration is wrong."),
    ".SH FILES",
    ...item("/etc/docker-cri/config.yaml", "The configuration; each key has a comment with its default."),
    ...item("/etc/default/docker-cri", "The flags with which systemd starts serve."),
    ...item("/run/docker-cri.sock", "Where kubelet and crictl connect."),
    ...item("/var/lib/cri-dockerd", "Checkpoints of pods, in cri-dockerd's format."),
    ".SH SEE ALSO",
    ".BR crictl (1),\n.BR dockerd (8),\n.BR systemctl (1)",
  ];
  return `${lines.join("\n")}\n`;
}

function commandLines(command: DescribedCommand): string[] {
  const groups = [...new Set(command.options.map(({ group }) => group))];
  return [
    `.SH ${escaped(command.name.toUpperCase())}`,
    ...paragraphs(command.description),
    ...groups.flatMap((group) => [
      ...(group === "" ? [] : [`.SS ${escaped(group.replace(/:$/, ""))}`]),
      ...command.options.filter((option) => option.group === group).flatMap(optionLines),
    ]),
  ];
}

function optionLines({ names, value, description }: DescribedOption): string[] {
  return item([names.join(", "), value].filter((part) => part !== "").join(" "), description);
}

function item(term = "", text = ""): string[] {
  return [".TP", `\\fB${escaped(term)}\\fR`, ...textLines(text)];
}

function paragraphs(text: string): string[] {
  return text.split("\n\n").flatMap((paragraph) => [".PP", ...textLines(paragraph)]);
}

/** A line that begins with a space starts a line in the page, too: the examples of the descriptions. */
function textLines(text: string): string[] {
  return text.split("\n").flatMap((line) => (/ {2,}/.test(line) ? [escaped(line), ".br"] : [escaped(line)]));
}

/** A text in which groff sees no request: backslashes and hyphens as they are, no dot that begins a line. */
function escaped(text: string): string {
  return text
    .replaceAll(/\\(?!f[BR])/g, "\\e")
    .replaceAll("-", "\\-")
    .replace(/^([.'])/, "\\&$1");
}
