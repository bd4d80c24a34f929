import { describeProgram, valueKind, type DescribedCommand, type DescribedOption } from "./commands.js";

/** Completion of the command line for bash. */
export function bashCompletion(): string {
  const { program, commands } = describeProgram();
  const all = commands.flatMap(({ options }) => options);
  const namesOf = (kind: string) =>
    [...new Set(all.filter((option) => valueKind(option) === kind).flatMap(({ names }) => names))].join("|");
  const words = new Map<string, string>();
  for (const option of all) {
    const kind = valueKind(option);
    if (typeof kind !== "string") for (const name of option.names) words.set(name, kind.join(" "));
  }
  const optionWords = (command: DescribedCommand) =>
    [...command.options.flatMap(({ names }) => names), "--help"].join(" ");
  return `# bash completion for docker-cri

_docker_cri() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]}
  # "--flag=value" comes as three words.
  [[ $current == = ]] && current=
  [[ $previous == = ]] && previous=\${COMP_WORDS[COMP_CWORD - 2]}
  COMPREPLY=()
  case $previous in
${[...words].map(([name, values]) => `    ${name}) mapfile -t COMPREPLY < <(compgen -W "${values}" -- "$current") && return ;;`).join("\n")}
    ${namesOf("folder")}) mapfile -t COMPREPLY < <(compgen -d -- "$current") && return ;;
    ${namesOf("file")}) mapfile -t COMPREPLY < <(compgen -f -- "$current") && return ;;
    ${namesOf("text")}) return ;;
  esac
  if ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W "${commands.map(({ name }) => name).join(" ")} ${optionWords(program)}" -- "$current")
    return
  fi
  case \${COMP_WORDS[1]} in
${commands
  .map(
    (command) =>
      `    ${command.name}) mapfile -t COMPREPLY < <(compgen -W "${optionWords(command)}" ${command.arguments.length > 0 ? "-f " : ""}-- "$current") ;;`,
  )
  .join("\n")}
  esac
}
complete -o filenames -F _docker_cri docker-cri
`;
}

/** Completion of the command line for zsh. @see zshcompsys(1), _arguments */
export function zshCompletion(): string {
  const { commands } = describeProgram();
  return `#compdef docker-cri

local -a commands=(
${commands.map(({ name, summary }) => `  ${quoted(`${name}:${summary}`)}`).join("\n")}
)
if ((CURRENT == 2)); then
  _describe command commands
  return
fi
shift words
((CURRENT--))
case $words[1] in
${commands
  .map(({ name, options, arguments: operands }) =>
    [
      `  ${name})`,
      "    _arguments \\",
      ...options.flatMap((option) => zshOption(option).map((spec) => `      ${quoted(spec)} \\`)),
      ...(operands.length > 0 ? ["      '*:file:_files' \\"] : []),
      "      '--help[print help]'",
      "    ;;",
    ].join("\n"),
  )
  .join("\n")}
esac
`;
}

function zshOption(option: DescribedOption): string[] {
  const kind = valueKind(option);
  const description = option.description.replaceAll(/[[\]\\:]/g, "\\$&");
  const action = zshAction(kind);
  return option.names.map((name) => {
    const takes = kind === "none" ? "" : name.startsWith("--") ? "=" : "+";
    return `${name}${takes}[${description}]${kind === "none" ? "" : `:value:${action}`}`;
  });
}

function zshAction(kind: ReturnType<typeof valueKind>): string {
  if (typeof kind !== "string") return `(${kind.join(" ")})`;
  return kind === "file" ? "_files" : kind === "folder" ? "_files -/" : " ";
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
