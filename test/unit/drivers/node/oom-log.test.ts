import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { nowNanos } from "../../../../src/base/index.js";
import { parseOomKill } from "../../../../src/drivers/node/oom-log.js";

const kill =
  "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=aad6,mems_allowed=0,oom_memcg=/docker/aad6," +
  "task_memcg=/docker/aad6,task=tail,pid=20349,uid=0\n";

describe("a record of the kernel's log", () => {
  it("reports the cgroup of the process that was killed, and when", () => {
    const micros = process.hrtime.bigint() / 1_000n - 2_000_000n;
    const read = parseOomKill(`6,32531,${micros},-;${kill}`);
    assert.equal(read?.cgroup, "/docker/aad6");
    const agoSeconds = Number(nowNanos() - read.latestNanos) / 1e9;
    const driftSeconds = Number(micros) / 1e6 / 10_000;
    assert.ok(Math.abs(agoSeconds - (2 - driftSeconds)) < 0.5, String(agoSeconds));
  });

  it("reports it of a limit further up, and of the whole machine", () => {
    const pod = kill.replace("oom_memcg=/docker/aad6", "oom_memcg=/kubepods/pod1");
    assert.equal(parseOomKill(`4,1,1000,-,caller=T1;${pod}`)?.cgroup, "/docker/aad6");
    const global = kill.replace("oom_memcg=/docker/aad6,", "global_oom,");
    assert.equal(parseOomKill(`4,1,1000,c;${global}`)?.cgroup, "/docker/aad6");
  });

  it("is undefined for other records, and for ones that the kernel did not write", () => {
    const others = [
      "6,32531,11320234724,-;dctpods0: port 1(veth437e2238) entered disabled state\n SUBSYSTEM=net\n",
      "3,1,1000,-;Memory cgroup out of memory: Killed process 20349 (tail)\n",
      `14,1,1000,-;${kill}`,
      `6,1,1000,-;a line that says ${kill}`,
      "6,1,1000,-;oom-kill:constraint=CONSTRAINT_NONE",
      "",
      ";",
    ];
    for (const record of others) assert.equal(parseOomKill(record), undefined, record);
  });
});
