import { chmod, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { labPath } from "./paths.js";

/**
 * Writes a runtime that calls runc after taking from the container what this machine cannot give for
 * want of CAP_SYS_RESOURCE, as in many containers and sandboxes: a negative oomScoreAdj is lifted to the
 * wrapper's own, and the capability is taken off the container's. runc could not start it otherwise.
 * Needs jq.
 */
export async function writeLiftingRunc(): Promise<string> {
  const path = join(await labPath("bin"), "runc-lifts-oom-score");
  // Another lab may be running the script at this moment.
  await writeFile(`${path}.${process.pid}`, script);
  await chmod(`${path}.${process.pid}`, 0o755);
  await rename(`${path}.${process.pid}`, path);
  return path;
}

const script = `#!/bin/sh
# runc, without what takes CAP_SYS_RESOURCE where this process does not have it.
bundle=. process= verb= previous=
for word; do
  case $previous in
    --bundle|-b) bundle=$word ;;
    --process|-p) process=$word ;;
  esac
  case $word in
    --bundle=*) bundle=\${word#--bundle=} ;;
    --process=*) process=\${word#--process=} ;;
    create|run|exec) [ -n "$verb" ] || verb=$word ;;
  esac
  previous=$word
done

edit() { # file, jq filter
  jq -c --argjson own "$(cat /proc/self/oom_score_adj)" "$2" "$1" >"$1.edited" && mv "$1.edited" "$1"
}

case $verb in
  create|run) file=$bundle/config.json path=.process ;;
  exec) file=$process path=. ;;
esac
# Bit 24 of the bounding set is CAP_SYS_RESOURCE.
bounds=$(sed -n 's/^CapBnd:[[:space:]]*//p' /proc/self/status)
if [ -f "$file" ] && [ $((0x$bounds >> 24 & 1)) = 0 ]; then
  if grep -Eq '"oomScoreAdj": *-' "$file"; then
    edit "$file" "($path | .oomScoreAdj) |= ([., \\$own] | max)"
  fi
  if grep -q CAP_SYS_RESOURCE "$file"; then
    edit "$file" "($path | .capabilities[]?) |= map(select(. != \\"CAP_SYS_RESOURCE\\"))"
  fi
fi
exec runc "$@"
`;
