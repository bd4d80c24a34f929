import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { deadlineMs, engines, kib, Node, World, type Auth } from "./images-world.js";
import { loadBasicImages, run, waitUntil, type Dockerd } from "./lab/index.js";
import { RegistryProxy } from "./registry-proxy.js";

let world: World;
before(async () => {
  world = await World.open();
  const small = ["plain", "locked", "token", "spoilt", "forged", "shared"];
  for (const name of small) await world.publish(name, 64 * kib);
  for (const name of ["stalls", "trickles", "dies", "left", "deserted"])
    await world.publish(name, 3_000 * kib);
  for (let at = 0; at < 10; at++) await world.publish(`many-${at}`, 16 * kib);
});
after(() => world.lab.close());

for (const { name, options } of engines) {
  describe(name, () => {
    let node: Node;
    let dockerd: Dockerd;
    const at = (image: string, address = world.plain.address) => `${address}/lab/${image}:1`;
    const login: Auth = { username: "joe", password: "right" };

    before(async () => {
      const extraConfig = { "max-download-attempts": 1, debug: true };
      dockerd = await world.lab.dockerd({ ...options, images: false, extraConfig });
      await loadBasicImages(dockerd);
      node = await Node.start(world, dockerd);
    });
    after(async () => {
      await node.shim.close();
      await dockerd.stop();
    });

    it("pulls by tag and by digest, and knows the image by every name", async () => {
      const id = await node.pull(at("plain"));
      const digest = world.digests.get("plain") ?? "";
      const byDigest = `${world.plain.address}/lab/plain@${digest}`;
      assert.equal(await node.pull(byDigest), id);
      for (const each of [
        id,
        id.slice(7),
        id.slice(7, 20),
        at("plain"),
        byDigest,
        at("plain") + `@${digest}`,
      ]) {
        assert.equal((await node.status(each))?.id, id, each);
      }
      const image = await node.status(id);
      assert.deepEqual(image?.repoTags, [at("plain")]);
      assert.ok(image.repoDigests.includes(byDigest));
      assert.equal(image.uid?.value, 1002n);
      assert.ok(image.size >= 64n * 1024n, `${image.size} bytes`);
      assert.equal(image.pinned, false);
      const { images } = await node.images.listImages({});
      assert.equal(images.filter((each) => each.id === id).length, 1);
      assert.deepEqual(
        images.filter(({ pinned }) => pinned).flatMap(({ repoTags }) => repoTags),
        ["registry.k8s.io/pause:3.10"],
      );
      assert.doesNotMatch(
        JSON.stringify(images.flatMap((each) => [...each.repoTags, ...each.repoDigests])),
        /<none>/,
      );
      const { info } = await node.images.imageStatus({ image: { image: id }, verbose: true });
      const { imageSpec } = JSON.parse(info["info"] ?? "{}") as {
        imageSpec: { config: unknown; history: unknown[] };
      };
      assert.deepEqual((imageSpec.config as { Cmd: unknown }).Cmd, ["/content-plain"]);
      assert.equal(imageSpec.history.length, 1);
      await node.remove(byDigest);
      assert.equal(await node.status(at("plain")), undefined);
      const again = await node.pull(byDigest);
      const untagged = await node.status(again);
      assert.deepEqual([untagged?.repoTags, untagged?.repoDigests.includes(byDigest)], [[], true]);
      await node.remove(byDigest);
      assert.equal(await node.status(again), undefined);
      await node.remove(id);
      assert.equal(await node.status(byDigest), undefined);
    });

    it("logs in with each kind of credentials, and reports when they are wrong", async () => {
      const locked = at("locked", world.locked.address);
      const token = at("token", world.token.address);
      const auth = Buffer.from("joe:right").toString("base64");
      for (const given of [login, { auth }, { ...login, serverAddress: `http://${world.locked.address}` }]) {
        await node.remove(await node.pull(locked, given));
      }
      const { identityToken } = world.token;
      const registryToken = world.token.tokenFor("lab/token");
      for (const given of [login, { identityToken }, { registryToken }]) {
        await node.remove(await node.pull(token, given));
      }
      const wrong = { username: "joe", password: "hunter2" };
      for (const [image, given] of [
        [locked, wrong],
        [locked, undefined],
        [locked, { ...login, serverAddress: "elsewhere.example" }],
        [token, wrong],
        [token, undefined],
        [token, { identityToken: "hunter2" }],
      ] as const) {
        const { code, text } = await node.refusal(image, given);
        assert.equal(code, Code.Unauthenticated, text);
        assert.match(text, /^could not pull .*check the pull secret/s);
        assert.doesNotMatch(text, /hunter2/);
      }
      assert.doesNotMatch(JSON.stringify(node.lines), /hunter2|"right"/);
    });

    it("reports faults of image, manifest, layer and registry", async () => {
      await using proxy = await RegistryProxy.start(world.plain.url);
      const missing = await node.refusal(`${world.plain.address}/lab/plain:none`);
      assert.equal(missing.code, Code.NotFound, missing.text);
      assert.match(missing.text, /could not pull .*lab\/plain:none: /);
      const unknown = await node.refusal(`${world.plain.address}/lab/plain@sha256:${"0".repeat(64)}`);
      assert.equal(unknown.code, Code.NotFound, unknown.text);
      const noName = await node.refusal(`${world.plain.address}/lab/UPPER:1`);
      assert.equal(noName.code, Code.InvalidArgument, noName.text);
      proxy.mischief = [{ path: world.layerPath("spoilt"), spoil: true }];
      const spoilt = await node.refusal(at("spoilt", proxy.address));
      assert.equal(spoilt.code, Code.InvalidArgument, spoilt.text);
      assert.match(spoilt.text, /verification failed|unexpected commit digest|invalid checksum/);
      const named = `${proxy.address}/lab/forged@${world.digests.get("forged") ?? ""}`;
      const type = "application/vnd.docker.distribution.manifest.v2+json";
      const accept = { headers: { accept: type } };
      const another = await fetch(`${world.plain.url}/v2/lab/plain/manifests/1`, accept);
      proxy.mischief = [{ path: /\/manifests\/sha256:/, status: 200, type, body: await another.text() }];
      const other = await node.refusal(named);
      assert.equal(other.code, Code.InvalidArgument, other.text);
      assert.match(other.text, /verification failed|unexpected commit digest/);
      for (const body of [`{"schemaVersion":2}`, "nonsense"]) {
        proxy.mischief = [{ path: /\/manifests\//, status: 200, type, body }];
        const bad = await node.refusal(at("spoilt", proxy.address));
        assert.equal(bad.code, Code.InvalidArgument, bad.text);
        assert.match(bad.text, /^could not pull .*lab\/spoilt:1: images\.pull: Docker /);
      }
      proxy.mischief = [{ path: /\/manifests\//, status: 503 }];
      const down = await node.refusal(at("spoilt", proxy.address));
      assert.equal(down.code, Code.Unknown, down.text);
      assert.match(down.text, /^RegistryUnavailable: could not pull .* from 127\.0\.0\.1:\d+: /s);
      const nobody = await node.refusal("127.0.0.1:1/lab/plain:1");
      assert.equal(nobody.code, Code.Unknown, nobody.text);
      assert.match(
        nobody.text,
        /^RegistryUnavailable: could not pull .* from 127\.0\.0\.1:1: .*connection refused/s,
      );
    });

    it("ends a pull that stalls, not one that trickles", async () => {
      await using proxy = await RegistryProxy.start(world.plain.url);
      proxy.mischief = [
        { path: world.layerPath("stalls"), stallAfterBytes: 1_500 * kib },
        { path: world.layerPath("trickles"), trickleBytes: 400 * kib, everyMs: 700 },
      ];
      const trickling = node.pull(at("trickles", proxy.address));
      const began = performance.now();
      const { code, text, ms } = await node.refusal(at("stalls", proxy.address));
      assert.equal(code, Code.DeadlineExceeded, text);
      assert.match(text, /made no progress for 3000 ms.*check the registry/);
      assert.ok(ms >= deadlineMs, `${ms} ms`);
      assert.match(await trickling, /^sha256:/);
      assert.ok(performance.now() - began > deadlineMs, "it took longer than the deadline");
    });

    it("reports a registry that is killed in the middle of a pull", async () => {
      await using proxy = await RegistryProxy.start(world.plain.url);
      proxy.mischief = [{ path: world.layerPath("dies"), dieAfterBytes: 1_000 * kib }];
      // Docker 20.10 waits five seconds before it tries once more.
      const patient = await Node.start(world, dockerd, { imagePullProgressDeadlineMs: 15_000 });
      const { code, text } = await patient.refusal(at("dies", proxy.address));
      await patient.shim.close();
      assert.equal(code, Code.Unknown, text);
      assert.match(text, /^RegistryUnavailable: /);
    });

    it("makes one pull for twenty callers, and ten at once of ten references", async () => {
      await using proxy = await RegistryProxy.start(world.plain.url);
      proxy.mischief = [{ path: world.layerPath("shared"), trickleBytes: 16 * kib, everyMs: 100 }];
      const shared = at("shared", proxy.address);
      const ids = await Promise.all(Array.from({ length: 20 }, () => node.pull(shared)));
      assert.equal(new Set(ids).size, 1);
      const manifests = proxy.asked.filter((line) => line.startsWith("GET") && line.includes("/manifests/"));
      assert.ok(manifests.length <= 2, manifests.join());
      const log = (
        await run("grep", ["-c", "POST /.*/images/create.*lab%2Fshared", dockerd.logPath], {
          allowFailure: true,
        })
      ).stdout;
      assert.equal(Number(log), 1, "one pull in dockerd's log");
      const many = await Promise.all(
        Array.from({ length: 10 }, (_, index) => node.pull(at(`many-${index}`))),
      );
      assert.equal(new Set(many).size, 10);
    });

    it("continues a pull for the other callers when one cancels", async () => {
      await using proxy = await RegistryProxy.start(world.plain.url);
      proxy.mischief = [{ path: world.layerPath("left"), trickleBytes: 600 * kib, everyMs: 300 }];
      const left = at("left", proxy.address);
      const leaver = new AbortController();
      const leaving = node.pull(left, undefined, leaver.signal);
      const staying = node.pull(left);
      setTimeout(() => {
        leaver.abort();
      }, 300);
      await assert.rejects(leaving, (error) => ConnectError.from(error).code === Code.Canceled);
      assert.match(await staying, /^sha256:/);
    });

    it("ends a pull without a waiting caller for the deadline", async () => {
      await using proxy = await RegistryProxy.start(world.plain.url);
      proxy.mischief = [{ path: world.layerPath("deserted"), trickleBytes: 100 * kib, everyMs: 500 }];
      const deserted = at("deserted", proxy.address);
      const began = performance.now();
      const leaver = new AbortController();
      setTimeout(() => {
        leaver.abort();
      }, 500);
      const leaving = node.pull(deserted, undefined, leaver.signal);
      await assert.rejects(leaving, (error) => ConnectError.from(error).code === Code.Canceled);
      assert.ok(performance.now() - began < deadlineMs, "who leaves is answered at once");
      const unheard = "an image pull failed after its callers disconnected";
      // The whole pull would take 15 seconds.
      assert.ok(await waitUntil(() => node.lines.some(({ msg }) => msg === unheard), 12_000));
      assert.ok(performance.now() - began >= deadlineMs, "it went on for the deadline");
      // dockerd has let go of the layer.
      assert.ok(await waitUntil(() => proxy.givenUp.some((path) => path.includes("/blobs/")), 20_000));
      assert.equal(await node.status(deserted), undefined);
    });

    it("has the node's own logins for the sandbox image alone, and for all pulls when configured to", async () => {
      const sandboxImage = at("locked", world.locked.address);
      const other = at("plain", world.locked.address);
      const { DOCKER_CONFIG: before } = process.env;
      process.env["DOCKER_CONFIG"] = await world.clientConfig({ [world.locked.address]: "joe:right" });
      try {
        const strict = await Node.start(world, dockerd, { sandboxImage });
        assert.ok(await waitUntil(async () => (await strict.status(sandboxImage))?.pinned === true, 60_000));
        assert.equal((await strict.refusal(other)).code, Code.Unauthenticated);
        await strict.shim.close();
        const lenient = await Node.start(world, dockerd, { nodeCredentialsForAllPulls: true });
        await lenient.remove(await lenient.pull(other));
        await lenient.remove(sandboxImage);
        await lenient.shim.close();
      } finally {
        if (before === undefined) delete process.env["DOCKER_CONFIG"];
        else process.env["DOCKER_CONFIG"] = before;
      }
    });
  });
}

describe("a full disk", () => {
  before(() => world.publish("large", 20_000 * kib));
  for (const { name, options } of engines) {
    it(`is reported with advice, and the pull works once there is space, on ${name}`, async () => {
      const { lab } = world;
      const root = await world.disk(`small-${name.replaceAll(/\W/g, "-")}`, "28M");
      // containerd keeps what it has loaded of a pull that failed.
      const ballast = join(root, "ballast");
      await writeFile(ballast, Buffer.alloc(4_000 * kib));
      const extraConfig = { "data-root": root, "max-download-attempts": 1 };
      const dockerd = await lab.dockerd({ ...options, name: "full", images: false, extraConfig });
      const node = await Node.start(world, dockerd);
      const { code, text } = await node.refusal(`${world.plain.address}/lab/large:1`);
      assert.equal(code, Code.ResourceExhausted, text);
      assert.match(text, /no space left on device.*free space where Docker keeps its data/s);
      await rm(ballast);
      assert.match(await node.pull(`${world.plain.address}/lab/plain:1`), /^sha256:/);
      const { imageFilesystems } = await node.images.imageFsInfo({});
      assert.equal(imageFilesystems[0]?.fsId?.mountpoint, root);
      await node.shim.close();
      await dockerd.stop();
    });
  }
});
