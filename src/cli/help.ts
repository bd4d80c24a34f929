import type { Command } from "commander";

/**
 * The width of a help's lines, in characters. Texts are written to fit it, and commander wraps the rest. The
 * terminal's own width is not asked for, so that help reads the same everywhere.
 */
export const helpWidth = 100;

const indent = "  ";

/** Lists a flag's meaning below it: names as long as cri-dockerd's leave no space beside them. */
export function tallHelp(command: Command): Command {
  return command.configureHelp({
    formatItem: (term, _termWidth, description, helper) => {
      const text = helper.boxWrap(description, helpWidth - 4 * indent.length);
      return `${indent}${term}\n${text.replace(/^/gm, indent.repeat(4))}`;
    },
  });
}
