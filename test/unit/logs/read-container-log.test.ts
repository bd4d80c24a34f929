import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { appendFile, mkdtemp, rename, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { formatRfc3339Nanos, isKind } from "../../../src/base/index.js";
import {
  readContainerLog,
  type ContainerLogLine,
  type ReadContainerLogOptions,
} from "../../../src/logs/index.js";
import { expected, until } from "./lab.js";
import type { StreamName } from "./scripted-log.js";

let folder = "";
let count = 0;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "read-log-"));
});
after(async () => {
  await rm(folder, { recursive: true });
});

async function fileWith(content: string | Buffer): Promise<string> {
  const path = join(folder, `${count++}.log`);
  await writeFile(path, content);
  return path;
}

async function read(path: string, options: ReadContainerLogOptions = {}): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of readContainerLog(path, options)) lines.push(shown(line));
  return lines;
}

function shown({ stream, text, partial }: ContainerLogLine): string {
  return `${stream === "stdout" ? "o" : "e"}:${text.toString("latin1")}${partial ? "" : "$"}`;
}

/** Lines of a file, `o` or `e` for the stream, `P` or `F`, and the text. One second apart. */
function log(...entries: string[]): string {
  return entries
    .map((entry, n) => {
      const [, stream, tag, text] = /^(o|e)(P|F) ?(.*)$/s.exec(entry) ?? [];
      const time = formatRfc3339Nanos(BigInt(1_700_000_000 + n) * 1_000_000_000n);
      return `${time} ${stream === "o" ? "stdout" : "stderr"} ${tag} ${text}\n`;
    })
    .join("");
}

const sample = log("oF one", "oP tw", "eF err", "oF o", "eP lo", "oF three", "eF st", "oF ", "oP end");

describe("readContainerLog", () => {
  it("gives whole lines of both streams, in the order in which they ended", async () => {
    const path = await fileWith(sample);
    assert.deepEqual(await read(path), ["o:one$", "e:err$", "o:two$", "o:three$", "e:lost$", "o:$", "o:end"]);
    const times: bigint[] = [];
    for await (const line of readContainerLog(path)) times.push(line.timestampNanos / 1_000_000_000n);
    assert.deepEqual(
      times,
      [0n, 2n, 1n, 5n, 4n, 7n, 8n].map((n) => n + 1_700_000_000n),
    );
  });

  it("gives the parts as they are stored, when asked", async () => {
    assert.deepEqual(await read(await fileWith(sample), { parts: true }), [
      "o:one$",
      "o:tw",
      "e:err$",
      "o:o$",
      "e:lo",
      "o:three$",
      "e:st$",
      "o:$",
      "o:end",
    ]);
  });

  it("reads Docker's json-file format, also through a link", async () => {
    const json = [
      { log: "one\n", stream: "stdout", time: "2024-01-02T03:04:05.000000001Z" },
      { log: "pär", stream: "stdout", time: "2024-01-02T03:04:05.000000002Z" },
      { log: "err\n", stream: "stderr", attrs: { a: "b" }, time: "2024-01-02T03:04:05.000000003Z" },
      { log: "t\u0000\n", stream: "stdout", time: "2024-01-02T03:04:05.000000002Z" },
    ];
    const path = await fileWith(json.map((line) => `${JSON.stringify(line)}\n`).join(""));
    await symlink(path, `${path}.link`);
    const part = Buffer.from("pärt").toString("latin1");
    assert.deepEqual(await read(`${path}.link`), ["o:one$", "e:err$", `o:${part}\0$`]);
    assert.deepEqual(await read(path, { tailLines: 1 }), [`o:${part}\0$`]);
  });

  it("picks by stream, time, number of lines and bytes", async () => {
    const path = await fileWith(sample);
    assert.deepEqual(await read(path, { stream: "stderr" }), ["e:err$", "e:lost$"]);
    assert.deepEqual(await read(path, { sinceTime: 1_700_000_005_000_000_000n }), [
      "o:three$",
      "e:st$",
      "o:$",
      "o:end",
    ]);
    assert.deepEqual(await read(path, { sinceTime: new Date(1_700_000_008_000) }), ["o:end"]);
    assert.deepEqual(await read(path, { tailLines: 4 }), ["o:three$", "e:lost$", "o:$", "o:end"]);
    assert.deepEqual(await read(path, { tailLines: 2, stream: "stderr" }), ["e:err$", "e:lost$"]);
    assert.deepEqual(await read(path, { tailLines: 3, parts: true }), ["e:st$", "o:$", "o:end"]);
    assert.deepEqual(await read(path, { tailLines: 0 }), []);
    assert.deepEqual(await read(path, { tailLines: 1000 }), await read(path));
    assert.deepEqual(await read(path, { limitBytes: 0 }), []);
    assert.deepEqual(await read(path, { limitBytes: 4 }), ["o:one$"]);
    assert.deepEqual(await read(path, { limitBytes: 6 }), ["o:one$", "e:er"]);
    assert.deepEqual(await read(path, { limitBytes: 3 }), ["o:one"]);
  });

  it("refuses invalid options", async () => {
    const path = await fileWith(sample);
    for (const options of [{ tailLines: -1 }, { limitBytes: 1.5 }, { sinceTime: new Date(NaN) }]) {
      await assert.rejects(read(path, options), (error) => isKind(error, "invalid-argument"));
    }
    await assert.rejects(read(`${path}.none`), (error) => isKind(error, "not-found"));
    await assert.rejects(
      read(await fileWith("just some text\n")),
      (error) => isKind(error, "invalid-argument") && error.message.includes("just some text"),
    );
  });

  it("skips malformed, incomplete and overlong lines", async () => {
    const good = log("oF one", "oF two").split("\n");
    const path = await fileWith(
      [
        good[0],
        "{bad",
        '{"log":5}',
        "\0".repeat(100),
        "y".repeat(5 * 1024 * 1024),
        good[1],
        "2024-01-0",
      ].join("\n"),
    );
    assert.deepEqual(await read(path), ["o:one$", "o:two$"]);
    assert.deepEqual(await read(path, { tailLines: 1 }), ["o:two$"]);
    assert.deepEqual(await read(await fileWith("")), []);
  });

  it("gives a line without end in pieces of bounded size", async () => {
    const part = `oP ${"z".repeat(16_384)}`;
    const path = await fileWith(log(...Array.from({ length: 100 }, () => part), "oF end"));
    const lines = await read(path);
    assert.deepEqual(
      lines.map((line) => line.length - 2),
      [1024 * 1024, 36 * 16_384 + 4],
    );
  });

  it("gives the last lines as they are at the end of the whole, whatever the log", async () => {
    const entry = fc.tuple(
      fc.constantFrom("o", "e"),
      fc.constantFrom("P", "F"),
      fc.constantFrom("", "a", "bb"),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(entry, { maxLength: 25 }),
        fc.nat({ max: 12 }),
        fc.constantFrom<StreamName | undefined>(undefined, "stdout", "stderr"),
        fc.boolean(),
        async (entries, tailLines, stream, parts) => {
          const path = await fileWith(log(...entries.map(([s, tag, text], n) => `${s}${tag} ${text}${n}`)));
          const options = { parts, ...(stream ? { stream } : {}) };
          const all = await read(path, options);
          const last = await read(path, { ...options, tailLines });
          // Lines that nothing ended come at the end, but count from where their last part stands.
          const open = (lines: string[]) => lines.filter((line) => !line.endsWith("$")).length;
          if (!parts && open(all) > 1) assert.equal(last.length, Math.min(tailLines, all.length));
          else assert.deepEqual(last, tailLines === 0 ? [] : all.slice(-tailLines));
          await rm(path);
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe("readContainerLog with follow", () => {
  it("delivers new lines, across renamed and emptied files, until it is stopped", async () => {
    const path = await fileWith(log("oF one", "oF two"));
    const end = new AbortController();
    const lines: string[] = [];
    const reading = (async () => {
      for await (const line of readContainerLog(path, { follow: true, tailLines: 1, signal: end.signal })) {
        lines.push(shown(line));
      }
    })();
    await until("the last line", () => lines.length === 1);
    await appendFile(path, log("oF three").slice(0, 20));
    await new Promise((resolve) => setTimeout(resolve, 50));
    await appendFile(path, log("oF three").slice(20));
    await until("another", () => lines.length === 2);
    // Two rotations in a row, as fast as can be.
    await rename(path, `${path}.20240101-000000`);
    await appendFile(`${path}.20240101-000000`, log("oF four"));
    await writeFile(path, log("oF five"));
    await rename(path, `${path}.20240101-000010`);
    await writeFile(path, log("oP six"));
    await until("two more", () => lines.length === 4);
    // A part shows only once its line ends: it is read in the meantime.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await truncate(path);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await appendFile(path, log("eF seven"));
    await until("one more", () => lines.length === 5);
    end.abort();
    await reading;
    assert.deepEqual(lines, ["o:two$", "o:three$", "o:four$", "o:five$", "e:seven$", "o:six"]);
  });

  it("follows Docker's rotation", async () => {
    const path = await fileWith(log("oF one"));
    const end = new AbortController();
    const lines: string[] = [];
    const reading = (async () => {
      for await (const line of readContainerLog(path, { follow: true, signal: end.signal })) {
        lines.push(shown(line));
        if (lines.length === 3) end.abort();
      }
    })();
    await until("a line", () => lines.length === 1);
    await rename(path, `${path}.2`);
    await writeFile(`${path}.1`, log("oF two"));
    await writeFile(path, log("oF three"));
    await reading;
    assert.deepEqual(lines, ["o:one$", "o:two$", "o:three$"]);
  });

  it("closes its files when the reader disconnects", async () => {
    const path = await fileWith(log("oF one", "oF two"));
    const before = readdirSync("/proc/self/fd").length;
    for (let n = 0; n < 5; n++) {
      for await (const line of readContainerLog(path, { follow: true })) {
        assert.equal(shown(line), "o:one$");
        break;
      }
    }
    const aborted = AbortSignal.abort();
    assert.deepEqual(await read(path, { follow: true, signal: aborted }), []);
    assert.equal(readdirSync("/proc/self/fd").length, before);
  });

  it("refuses a pipe, a device and a folder without waiting", async () => {
    const pipe = join(folder, "pipe");
    execFileSync("mkfifo", [pipe]);
    for (const path of [pipe, "/dev/zero", folder])
      await assert.rejects(read(path), (error) => isKind(error, "invalid-argument"), path);
  });

  it("reads every line of a log that is written and rotated at random", async () => {
    const path = await fileWith("");
    const end = new AbortController();
    const got: string[] = [];
    const reading = (async () => {
      for await (const line of readContainerLog(path, { follow: true, parts: true, signal: end.signal })) {
        got.push(shown(line));
        if (line.text.toString() === "end") end.abort();
      }
    })();
    let rotations = 0;
    for (let n = 0; n < 400; n++) {
      const text = n === 399 ? "end\n" : `${n}\n`;
      const frame = { stream: "stdout" as const, timestampNanos: BigInt(n), data: Buffer.from(text) };
      await appendFile(path, expected([frame]));
      if ((n * 7919) % 13 === 0) {
        await rename(path, `${path}.20240101-${String(rotations++).padStart(6, "0")}`);
        await writeFile(path, "");
      }
    }
    await reading;
    assert.deepEqual(got, [...Array.from({ length: 399 }, (_, n) => `o:${n}$`), "o:end$"]);
  });
});
