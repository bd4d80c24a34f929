import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import { after, before, beforeEach, describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { createClients } from "../../src/client/index.js";
import { Authority } from "../wire/support/certificates.js";
import type { Stage } from "./support/stage.js";
import { startServe, type Serving, type ServingOptions } from "./support/serving.js";

/** The tests of the installed program's `serve`. */
export function describeServe(staged: () => Stage): void {
  const serve = (flags: readonly string[], options?: ServingOptions): Serving =>
    startServe(staged().program, flags, options);

  describe("docker-cri serve", () => {
    let folder: string;
    let socket: string;
    let flags: string[];
    let count = 0;

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), "docker-cri-serve-"));
    });
    beforeEach(() => {
      socket = join(folder, `${count++}.sock`);
      flags = ["--engine", "memory", "--container-runtime-endpoint", `unix://${socket}`];
    });
    after(() => rm(folder, { recursive: true, force: true }));

    it("answers on its socket, and closes cleanly on SIGTERM with a client still connected", async () => {
      await using serving = serve(flags);
      await serving.said("serving CRI");
      assert.equal((await stat(socket)).mode & 0o777, 0o660);
      using clients = createClients({ endpoint: `unix://${socket}` });
      assert.equal((await clients.runtime.version({})).runtimeApiVersion, "v1");
      const began = Date.now();
      serving.signal("SIGTERM");
      assert.equal(await serving.ended, 0, serving.text());
      assert.ok(Date.now() - began < 5_000);
      await assert.rejects(stat(socket), { code: "ENOENT" });
    });

    it("listens before Docker runs, and reports that Docker is missing", async () => {
      const endpoint = `unix://${join(folder, "no-docker.sock")}`;
      await using serving = serve([
        ...["--container-runtime-endpoint", `unix://${socket}`, "--docker-endpoint", endpoint],
        ...["--root-directory", join(folder, "root"), "--network-plugin", "none"],
      ]);
      await serving.said("serving CRI");
      using clients = createClients({ endpoint: `unix://${socket}` });
      const { status } = await clients.runtime.status({});
      const ready = status?.conditions.find(({ type }) => type === "RuntimeReady");
      assert.equal(ready?.status, false);
      await assert.rejects(clients.runtime.listContainers({}), (error) => {
        assert.equal(ConnectError.from(error).code, Code.Unavailable);
        assert.match(ConnectError.from(error).message, /no-docker\.sock/);
        return true;
      });
      serving.signal("SIGINT");
      assert.equal(await serving.ended, 0, serving.text());
    });

    it("ends at once on a second signal", async () => {
      await using serving = serve([...flags, "--metrics-address", "127.0.0.1:0"]);
      const { metrics } = await serving.said("serving CRI");
      using clients = createClients({ endpoint: `unix://${socket}` });
      const { runtime } = clients;
      const metadata = { name: "busy", namespace: "default", uid: "1", attempt: 0 };
      const image = { image: "busybox:1.36" };
      await clients.images.pullImage({ image });
      const { podSandboxId } = await runtime.runPodSandbox({ config: { metadata, linux: {} } });
      const config = { metadata: { name: "busy", attempt: 0 }, image, command: ["sleep", "600"] };
      const { containerId } = await runtime.createContainer({
        podSandboxId,
        config,
        sandboxConfig: { metadata },
      });
      await runtime.startContainer({ containerId });
      const underWay = runtime.execSync({ containerId, cmd: ["sleep", "600"] }).catch(() => undefined);
      const isUnderWay = /^docker_cri_rpcs_open\{[^}]*method="ExecSync"\} 1$/m;
      while (!isUnderWay.test(await (await fetch(String(metrics))).text()))
        await new Promise((resolve) => setTimeout(resolve, 20));
      serving.signal("SIGTERM");
      await serving.said("closing");
      const began = Date.now();
      serving.signal("SIGTERM");
      assert.equal(await serving.ended, 1, serving.text());
      assert.ok(Date.now() - began < 2_000);
      await underWay;
    });

    it("leaves a used socket alone, and exits with one line before it follows Docker", async () => {
      await using first = serve(flags);
      await first.said("serving CRI");
      await using second = serve([...flags, "--log-level", "trace"]);
      assert.equal(await second.ended, 1);
      assert.match(
        second.text(),
        /^docker-cri: another process answers on \S+: stop it, or choose another path\n$/,
      );
      using clients = createClients({ endpoint: `unix://${socket}` });
      assert.equal((await clients.runtime.version({})).runtimeApiVersion, "v1");
    });

    it("exits with one line where its root directory cannot be", async () => {
      const file = join(folder, "a-file");
      await writeFile(file, "");
      await using serving = serve([
        ...["--container-runtime-endpoint", `unix://${socket}`, "--network-plugin", "none"],
        ...["--docker-endpoint", `unix://${join(folder, "no-docker.sock")}`, "--root-directory", file],
      ]);
      assert.equal(await serving.ended, 1);
      assert.match(
        serving.text(),
        /^docker-cri: cannot create the root directory \S+a-file: EEXIST.*; run as root, .*--root-directory\n$/,
      );
    });

    it("reloads certificates at SIGHUP and when a file has changed, and keeps its connections", async () => {
      const authority = new Authority("ours");
      const [certFile, keyFile, clientCaFile] = ["cert", "key", "ca"].map((name) =>
        join(folder, `${name}.pem`),
      );
      const install = async () => {
        const { cert, key } = authority.issue("server");
        await writeFile(keyFile!, key);
        await writeFile(certFile!, cert);
      };
      await install();
      await writeFile(clientCaFile!, authority.cert);
      const file = join(folder, "tls.json");
      const listen = { endpoint: "tcp://127.0.0.1:0", tls: { certFile, keyFile, clientCaFile } };
      await writeFile(file, JSON.stringify({ engine: { kind: "memory" }, listen }));
      await using serving = serve(["--config", file]);
      const [endpoint = ""] = (await serving.said("serving CRI"))["endpoints"] as string[];
      const tls = { ca: authority.cert, serverName: "localhost", ...authority.issue("client") };
      using clients = createClients({ endpoint, tls });
      await clients.runtime.version({});
      const port = Number(endpoint.split(":").at(-1));
      const shown = () => serverCertificate({ port, ...tls });
      const first = await shown();
      await install();
      serving.signal("SIGHUP");
      await serving.said("certificates reloaded");
      const second = await shown();
      assert.notEqual(second, first);
      await install();
      for (let tries = 0; (await shown()) === second; tries++) {
        assert.ok(tries < 200, serving.text());
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      await clients.runtime.version({});
      await writeFile(certFile!, "no certificate");
      serving.signal("SIGHUP");
      await clients.runtime.version({});
      await shown();
    });

    it("ignores SIGHUP without certificates", async () => {
      await using serving = serve(flags);
      await serving.said("serving CRI");
      serving.signal("SIGHUP");
      await serving.said("SIGHUP ignored: no certificates are configured in listen.tls");
      using clients = createClients({ endpoint: `unix://${socket}` });
      assert.equal((await clients.runtime.version({})).runtimeApiVersion, "v1");
    });

    it("warns at its start who can reach plain TCP", async () => {
      const args = ["--engine", "memory", "--container-runtime-endpoint", "tcp://127.0.0.1:0"];
      await using serving = serve(args);
      await serving.said("serving CRI");
      assert.match(serving.text(), /every process on this machine has full control of this node/);
    });

    it("refuses to be reached from other machines without certificates", async () => {
      await using serving = serve(["--engine", "memory", "--container-runtime-endpoint", "tcp://0.0.0.0:0"]);
      assert.equal(await serving.ended, 2);
      assert.match(serving.text(), /docker-cri: .*client certificates/);
    });

    it("accepts a configuration file, and reports why a flag has no effect", async () => {
      const file = join(folder, "config.yaml");
      await writeFile(
        file,
        `engine: { kind: memory }\nlisten: { endpoint: "unix://${socket}", socketMode: "0600" }\n`,
      );
      await using serving = serve(["--config", file, "--ipv6-dual-stack", "--hairpin-mode=hairpin-veth"]);
      await serving.said("serving CRI");
      assert.equal((await stat(socket)).mode & 0o777, 0o600);
      const warned = serving.lines.filter(({ level }) => level === 40).map(({ msg }) => String(msg));
      assert.equal(warned.length, 2, serving.text());
      assert.match(warned.join("\n"), /--hairpin-mode: has no effect/);
      assert.match(warned.join("\n"), /--ipv6-dual-stack: has no effect/);
    });

    it("serves images alone on a second socket", async () => {
      const images = `unix://${socket}.images`;
      await using serving = serve([...flags, "--image-endpoint", images]);
      await serving.said("serving CRI");
      using clients = createClients({ endpoint: images });
      assert.ok(Array.isArray((await clients.images.listImages({})).images));
      await assert.rejects(clients.runtime.version({}), { code: Code.Unimplemented });
      using kubelet = createClients({ endpoint: `unix://${socket}`, imageEndpoint: images });
      await kubelet.runtime.version({});
      await kubelet.images.listImages({});
    });

    it("takes a socket from systemd, and leaves its file to it", async () => {
      const listener = await listening(`${socket}.born`);
      const fd = (listener as unknown as { _handle: { fd: number } })._handle.fd;
      await using serving = serve(["--engine", "memory", "--container-runtime-endpoint", "fd://"], {
        socketFd: fd,
      });
      // The child has the socket; this process lets go of it, and must not take the file along.
      await rename(`${socket}.born`, socket);
      listener.close();
      await serving.said("serving CRI");
      using clients = createClients({ endpoint: `unix://${socket}` });
      assert.equal((await clients.runtime.version({})).runtimeApiVersion, "v1");
      serving.signal("SIGTERM");
      assert.equal(await serving.ended, 0, serving.text());
      await stat(socket);
    });

    it("reports what fd:// needs where systemd gave no socket", async () => {
      await using serving = serve(["--engine", "memory", "--container-runtime-endpoint", "fd://"]);
      assert.equal(await serving.ended, 1);
      assert.match(serving.text(), /docker-cri: fd:\/\/ needs a socket from systemd/);
    });

    it("notifies systemd when it listens and when it ends", async () => {
      const tools = await mkdtemp(join(folder, "bin-"));
      await writeFile(join(tools, "systemd-notify"), `#!/bin/sh\necho "$@" >> ${tools}/told\n`);
      await chmod(join(tools, "systemd-notify"), 0o755);
      const env = {
        NOTIFY_SOCKET: "/run/systemd/notify",
        PATH: [tools, process.env["PATH"]].join(delimiter),
      };
      await using serving = serve(flags, { env });
      await serving.said("serving CRI");
      serving.signal("SIGTERM");
      assert.equal(await serving.ended, 0, serving.text());
      const told = (await readFile(join(tools, "told"), "utf8")).trim().split("\n");
      assert.deepEqual(told, [`READY=1 STATUS=serving CRI on unix://${socket}`, "STOPPING=1"]);
    });
  });
}

/** The certificate that a new connection is shown. */
function serverCertificate(options: ConnectionOptions & { serverName: string }): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ ...options, host: "127.0.0.1", servername: options.serverName }, () => {
      resolve(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

/** A socket that listens, as systemd makes one. */
function listening(path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer().on("error", reject);
    server.listen(path, () => {
      resolve(server);
    });
  });
}
