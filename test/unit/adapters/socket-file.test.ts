import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import {
  chmod,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { groupId } from "../../../src/adapters/unix-socket/group.js";
import { inheritedSocketFd } from "../../../src/adapters/unix-socket/inherited.js";
import { listenOnPath } from "../../../src/adapters/unix-socket/socket-file.js";
import { isKind, type ErrorKind } from "../../../src/base/index.js";

const rights = { mode: 0o660, gid: undefined };

function rejectsWith(work: Promise<unknown>, kind: ErrorKind, text: RegExp): Promise<void> {
  return assert.rejects(work, (error) => {
    assert.ok(isKind(error, kind), String(error));
    assert.match(error.message, text);
    return true;
  });
}

async function answers(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

describe("listenOnPath", () => {
  let folder: string;
  let path: string;
  const servers: Server[] = [];
  const newServer = () => {
    const server = createServer((socket) => socket.destroy());
    servers.push(server);
    return server;
  };

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "docker-cri-socket-"));
    path = join(folder, "run", "deep", "cri.sock");
  });

  afterEach(async () => {
    for (const server of servers.splice(0)) server.close();
    await rm(folder, { recursive: true, force: true });
  });

  it("makes the folder and a socket with its mode and group, and leaves nothing else there", async () => {
    const file = await listenOnPath(newServer(), path, { mode: 0o620, gid: 12_345 });
    const made = await stat(path);
    assert.ok(made.isSocket());
    assert.equal(made.mode & 0o777, 0o620);
    assert.equal(made.gid, 12_345);
    assert.equal(file.path, path);
    assert.ok(await answers(path));
    assert.deepEqual(await readdir(join(folder, "run", "deep")), ["cri.sock"]);
  });

  it("removes its own file, and a second removal is nothing", async () => {
    const server = newServer();
    const file = await listenOnPath(server, path, rights);
    await file.remove();
    await file.remove();
    server.close();
    assert.ok(!existsSync(path));
  });

  it("replaces a socket whose process was killed", async () => {
    await mkdir(join(folder, "run", "deep"), { recursive: true });
    const script = `require("net").createServer().listen(${JSON.stringify(path)},()=>console.log("up"))`;
    const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
    await once(child.stdout, "data");
    child.kill("SIGKILL");
    await once(child, "close");
    assert.ok(existsSync(path));
    await listenOnPath(newServer(), path, rights);
    assert.ok(await answers(path));
  });

  it("replaces a dead socket whatever its name is", async () => {
    for (const name of ["stale", "s", "s.stale", "n".repeat(40)]) {
      const target = join(folder, name);
      const dead = createServer().listen(join(folder, "dead.sock"));
      await once(dead, "listening");
      await link(join(folder, "dead.sock"), target);
      dead.close();
      await once(dead, "close");
      await listenOnPath(newServer(), target, rights);
      assert.ok(await answers(target), name);
    }
  });

  it("refuses a socket that another process answers on, and leaves it alone", async () => {
    await listenOnPath(newServer(), path, rights);
    const before = await stat(path);
    await rejectsWith(listenOnPath(newServer(), path, rights), "already-exists", /cri\.sock/);
    assert.equal((await stat(path)).ino, before.ino);
    assert.ok(await answers(path));
    assert.deepEqual(await readdir(join(folder, "run", "deep")), ["cri.sock"]);
  });

  it("lets one of many that start at once have the path of a dead one", async () => {
    await mkdir(join(folder, "run", "deep"), { recursive: true });
    const dead = createServer().listen(join(folder, "dead.sock"));
    await once(dead, "listening");
    await link(join(folder, "dead.sock"), path);
    dead.close();
    await once(dead, "close");
    assert.ok(!(await answers(path)));
    const started = await Promise.allSettled(
      Array.from({ length: 8 }, () => listenOnPath(newServer(), path, rights)),
    );
    assert.equal(started.filter(({ status }) => status === "fulfilled").length, 1);
    for (const result of started) {
      if (result.status === "rejected")
        assert.ok(isKind(result.reason, "already-exists"), String(result.reason));
    }
    assert.ok(await answers(path));
  });

  it("never removes the socket of a successor", async () => {
    const old = newServer();
    const file = await listenOnPath(old, path, rights);
    await rm(path);
    await listenOnPath(newServer(), path, rights);
    await file.remove();
    old.close();
    await once(old, "close");
    assert.ok(await answers(path));
  });

  it("refuses anything but a socket, and does not touch it", async () => {
    await mkdir(join(folder, "run", "deep"), { recursive: true });
    await writeFile(path, "precious");
    await rejectsWith(listenOnPath(newServer(), path, rights), "already-exists", /is not a socket/);
    assert.equal(await readFile(path, "utf8"), "precious");
    await rename(path, join(folder, "elsewhere"));
    await symlink(join(folder, "elsewhere"), path);
    await rejectsWith(listenOnPath(newServer(), path, rights), "already-exists", /is not a socket/);
    await rm(path);
    await mkdir(path);
    await rejectsWith(listenOnPath(newServer(), path, rights), "already-exists", /is not a socket/);
  });

  it("reports the problem of a path", async () => {
    await rejectsWith(listenOnPath(newServer(), "", rights), "invalid-argument", /1 to 107/);
    await rejectsWith(
      listenOnPath(newServer(), "/run/a\0b", rights),
      "invalid-argument",
      /none of them zero/,
    );
    await rejectsWith(
      listenOnPath(newServer(), `/run/${"x".repeat(110)}`, rights),
      "invalid-argument",
      /107/,
    );
    await writeFile(join(folder, "file"), "");
    await rejectsWith(
      listenOnPath(newServer(), join(folder, "file", "cri.sock"), rights),
      "failed-precondition",
      /cri\.sock: .*(ENOTDIR|EEXIST)/,
    );
  });

  it("takes the longest path that the kernel does", async () => {
    const longest = join(folder, "x".repeat(107 - Buffer.byteLength(folder) - 1));
    await listenOnPath(newServer(), longest, rights);
    assert.ok(await answers(longest));
    assert.deepEqual(await readdir(folder), [longest.slice(folder.length + 1)]);
  });

  it("reports that it may not write", { skip: process.getuid?.() === 0 && nobodyCannot() }, async () => {
    await chmod(folder, 0o755);
    const tsx = import.meta.resolve("tsx");
    const module = new URL("../../../src/adapters/unix-socket/socket-file.ts", import.meta.url).href;
    const script = `
      process.setgid(65534); process.setuid(65534);
      const { listenOnPath } = await import(${JSON.stringify(module)});
      const { createServer } = await import("node:net");
      await listenOnPath(createServer(), ${JSON.stringify(join(folder, "cri.sock"))}, { mode: 0o600 })
        .then(() => console.log("listening"), (error) => console.log(error.kind, error.message));
      process.exit(0);`;
    const printed = execFileSync(process.execPath, ["--import", tsx, "--input-type=module", "-e", script], {
      encoding: "utf8",
    });
    assert.match(printed, /^permission-denied .*cri\.sock/);
  });
});

/** The reason why another user cannot load the sources; false when it can. */
function nobodyCannot(): string | false {
  try {
    const file = JSON.stringify(new URL("../../../package.json", import.meta.url).pathname);
    const script = `process.setgid(65534); process.setuid(65534); require("fs").readFileSync(${file})`;
    execFileSync(process.execPath, ["-e", script], { stdio: "ignore" });
    return false;
  } catch {
    return "the sources are not readable for another user";
  }
}

describe("groupId", () => {
  it("takes numbers, numbers as text and names of /etc/group", async () => {
    assert.equal(await groupId(0), 0);
    assert.equal(await groupId("998877"), 998_877);
    assert.equal(await groupId("root"), 0);
  });

  it("refuses anything but a group", async () => {
    await rejectsWith(groupId("no-such-group"), "invalid-argument", /no-such-group/);
    await rejectsWith(groupId(-1), "invalid-argument", /-1/);
    await rejectsWith(groupId(1.5), "invalid-argument", /1\.5/);
    await rejectsWith(groupId("4294967295"), "invalid-argument", /4294967295/);
    await rejectsWith(groupId(""), "invalid-argument", /group/);
  });
});

describe("inheritedSocketFd", () => {
  it("is the first descriptor after the standard ones, for the process that systemd named", () => {
    assert.equal(inheritedSocketFd({ LISTEN_PID: String(process.pid), LISTEN_FDS: "1" }), 3);
  });

  it("reports what systemd has not done", () => {
    const pid = String(process.pid);
    for (const environment of [
      {},
      { LISTEN_FDS: "1" },
      { LISTEN_PID: "1", LISTEN_FDS: "1" },
      { LISTEN_PID: pid },
    ]) {
      assert.throws(() => inheritedSocketFd(environment), /none was passed/);
    }
    assert.throws(() => inheritedSocketFd({ LISTEN_PID: pid, LISTEN_FDS: "2" }), /2 sockets/);
  });
});
