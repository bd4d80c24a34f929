import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { run } from "../docker/lab/index.js";
import { Terminal } from "../docker/terminal.js";
import { container, forever, isReady, manifest } from "../kubelet/pods.js";
import type { Check } from "./checks.js";

const bigMegabytes = 500;

/** kubectl's commands that speak with a running pod. */
export function streams(check: Check): void {
  check("`kubectl run`: a pod completes, and its log is available", async ({ kubectl }) => {
    await kubectl.out("run", "once", "--image=busybox:1.36", "--restart=Never", "--", "echo", "by kubectl");
    await kubectl.untilPod("once", ({ status }) => status.phase === "Succeeded");
    assert.equal(await kubectl.out("logs", "once"), "by kubectl\n");
    const serves = `mkdir -p /www; echo page > /www/page; exec httpd -f -p 8080 -h /www`;
    await kubectl.apply(
      manifest("shell", { containers: [container("main", forever)] }),
      manifest("cat", { containers: [container("main", "exec cat", { stdin: true })] }),
      manifest("page", { containers: [container("main", serves)] }),
    );
    for (const name of ["shell", "cat", "page"]) await kubectl.untilPod(name, isReady);
  });

  check("`kubectl logs -f`: every line, until the container ends", async ({ kubectl }) => {
    const script = "for i in $(seq 1 300); do echo line $i; usleep 20000; done";
    await kubectl.apply(
      manifest("counts", { restartPolicy: "Never", containers: [container("main", script)] }),
    );
    await kubectl.untilPod("counts", ({ status }) => status.phase !== "Pending");
    const expected = Array.from({ length: 300 }, (_, index) => `line ${index + 1}\n`).join("");
    assert.equal(await kubectl.out("logs", "-f", "counts"), expected);
    assert.equal(await kubectl.out("logs", "--tail=2", "counts"), "line 299\nline 300\n");
  });

  check("`kubectl exec`: input, output, exit code", async ({ kubectl }) => {
    const command = ["exec", "-i", "shell", "--", "sh", "-c", "cat; echo err >&2; exit 7"];
    const result = await kubectl.run(command, { input: "in\n", allowFailure: true });
    assert.deepEqual([result.stdout, result.exitCode], ["in\n", 7]);
    assert.match(result.stderr, /^err\n/);
  });

  check("`kubectl exec -it`: a terminal, its size and its keys", async ({ kubectl }) => {
    const command = kubectl.line("exec", "-it", "shell", "--", "sh");
    await using terminal = await Terminal.open(command, { width: 100, height: 30 });
    await terminal.followsItsSize();
    // The shell has left its line editor, which reads Ctrl-C as a key, once the command has begun.
    await terminal.type("clear; echo be''gun; sleep 100", "Enter");
    await terminal.shows(/^begun$/m);
    await terminal.type("C-c");
    await terminal.shows(/^\^C\n.*[#$]$/m);
    await terminal.type("clear; exit 5", "Enter");
    await terminal.shows(/exit code 5/);
  });

  check(
    `\`kubectl cp\`: ${bigMegabytes} MB into a pod and back, with equal checksums`,
    async ({ kubectl, folder }) => {
      const [there, back] = [join(folder, "big"), join(folder, "big-back")];
      await run("sh", ["-c", `head -c ${bigMegabytes}000000 /dev/urandom > "$1"`, "sh", there]);
      await kubectl.run(["cp", there, "shell:/tmp/big"]);
      const [sum] = (await kubectl.out("exec", "shell", "--", "md5sum", "/tmp/big")).split(" ");
      assert.equal(sum, await md5(there));
      await kubectl.run(["cp", "shell:/tmp/big", back]);
      assert.equal(await md5(back), sum);
      await run("rm", [there, back]);
    },
  );

  check("`kubectl port-forward`: concurrent connections", async ({ kubectl }) => {
    const forward = kubectl.start("port-forward", "pod/page", ":8080");
    try {
      const port = await firstMatch(forward.stdout, /127\.0\.0\.1:(\d+) ->/);
      const pages = Array.from({ length: 5 }, async () => await fetch(`http://127.0.0.1:${port}/page`));
      for (const page of await Promise.all(pages)) assert.equal(await page.text(), "page\n");
    } finally {
      forward.kill();
    }
  });

  check("`kubectl attach`: input and output of the first process", async ({ kubectl }) => {
    const attached = kubectl.start("attach", "-i", "cat");
    try {
      attached.stdin.write("by attach\n");
      await firstMatch(attached.stdout, /(by attach)/);
    } finally {
      attached.kill();
    }
    assert.equal(await kubectl.out("logs", "cat"), "by attach\n");
  });

  check("`kubectl debug`: an ephemeral container that sees its target's processes", async ({ kubectl }) => {
    const command = ["sh", "-c", "tr '\\000' ' ' < /proc/1/cmdline"];
    const options = ["--image=busybox:1.36", "--target=main", "-c", "debugger", "--profile=general"];
    await kubectl.out("debug", "shell", ...options, "--", ...command);
    interface Debugged {
      readonly status: { readonly ephemeralContainerStatuses?: readonly { readonly state: object }[] };
    }
    await kubectl.until(
      "the ephemeral container",
      async () => await kubectl.json<Debugged>("get", "pod", "shell"),
      ({ status }) => "terminated" in (status.ephemeralContainerStatuses?.[0]?.state ?? {}),
    );
    assert.match(await kubectl.out("logs", "shell", "-c", "debugger"), /sleep 86400/);
  });
}

async function md5(path: string): Promise<string> {
  const hash = createHash("md5");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

/** The first group of an expression, as soon as a command has printed it, whose output is read on. */
async function firstMatch(stream: Readable, wanted: RegExp): Promise<string> {
  let seen = "";
  return await new Promise((resolve, reject) => {
    stream.on("data", (chunk: Buffer) => {
      seen += String(chunk);
      const found = wanted.exec(seen)?.[1];
      if (found !== undefined) resolve(found);
    });
    stream.on("end", () => {
      reject(new Error(`${String(wanted)} is not in ${seen}`));
    });
  });
}
