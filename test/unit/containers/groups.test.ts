import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { primaryGroup } from "../../../src/containers/strict-groups.js";
import { SupplementalGroupsPolicy } from "../../../src/gen/runtime/v1/api_pb.js";
import { fails, forever, image, openLab, type Lab } from "./lab.js";

const passwd = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34::/:\nother:x:1000:1001::/:\n";
const withPasswd = "app:1";
const images = [
  image,
  { name: withPasswd, files: { "/bin/app": "x", "/etc/passwd": passwd, "/etc/group": "extra:x:500:web\n" } },
];

const exports = ({ engine }: Lab) => engine.calls.count("containers.export");

/** Creates a container with the policy Strict. @returns The user that Docker was given. */
async function strictUser(lab: Lab, name: string, context: object): Promise<string | undefined> {
  const id = await lab.create(forever, {
    image: { image: name },
    linux: { securityContext: { ...context, supplementalGroupsPolicy: SupplementalGroupsPolicy.Strict } },
  });
  return (await lab.engine.containers.inspect(id)).config.user;
}

describe("supplemental_groups_policy Strict", () => {
  for (const [what, context, expected] of [
    ["a number", { runAsUser: { value: 1000n } }, "1000:1001"],
    ["a number that the image does not know", { runAsUser: { value: 4n } }, "4:0"],
    ["a name", { runAsUsername: "web" }, "web:34"],
    ["the image's user", {}, "0:0"],
  ] as const) {
    it(`gives Docker the group of ${what}, for which it adds none of the image`, async () => {
      await using lab = await openLab({ images });
      assert.equal(await strictUser(lab, withPasswd, context), expected);
      assert.equal(exports(lab), 1);
      // The container that was read is gone: the pod's two are left.
      assert.equal((await lab.engine.containers.list()).length, 2);
    });
  }

  it("takes the request's group without a look into the image", async () => {
    await using lab = await openLab({ images });
    const context = { runAsUser: { value: 1000n }, runAsGroup: { value: 7n } };
    assert.equal(await strictUser(lab, withPasswd, context), "1000:7");
    assert.equal(exports(lab), 0);
  });

  it("means group 0 in an image without /etc/passwd", async () => {
    await using lab = await openLab({ images });
    assert.equal(await strictUser(lab, image, { runAsUser: { value: 5n } }), "5:0");
  });

  it("is refused for an /etc/passwd without end, and an image that is not there", async () => {
    const huge = { name: "huge:1", files: { "/etc/passwd": "x".repeat(2_000_000) } };
    await using lab = await openLab({ images: [image, huge] });
    await fails(
      strictUser(lab, "huge:1", {}),
      Code.Unimplemented,
      /etc\/passwd of the image sha256:\w+ is not/,
    );
    await fails(strictUser(lab, "gone:1", {}), Code.NotFound, /gone:1 is not on the node/);
  });

  it("finds a group as Docker does, in a file that nobody has checked", () => {
    assert.equal(primaryGroup(passwd, "1000"), 1001);
    assert.equal(primaryGroup("1000:x:5:6\na:x:1000:7", "1000"), 7);
    for (const odd of ["", ":::", "a", "a:x:1", "a:x:1:-5", "a:x:1:1e99", "a:x:1:zero", "a:x:1:2147483648"])
      assert.equal(primaryGroup(odd, "a"), 0, odd);
  });
});

describe("the user in a container's status", () => {
  /** Puts what the OCI runtime was given where containerd's shim has it. */
  async function makeBundle(
    lab: Lab,
    id: string,
    config: string,
    folder = `/run/containerd/task/moby/${id}`,
  ) {
    const { pid } = (await lab.engine.containers.inspect(id)).state;
    const { host } = lab.engine;
    await host.files.writeAtomic(`/proc/${pid}/stat`, `${pid} (odd) name) S 77 1 1`);
    host.tree.makeDirectory("/proc/77");
    host.tree.symlink(folder, "/proc/77/cwd");
    await host.files.writeAtomic(`${folder}/config.json`, config);
  }

  const userOf = async ({ runtime }: Lab, containerId: string) => {
    const linux = (await runtime.containerStatus({ containerId })).status?.user?.linux;
    return linux && [linux.uid, linux.gid, linux.supplementalGroups];
  };

  it("is that of the OCI runtime's configuration, and stays when the container has ended", async () => {
    await using lab = await openLab();
    const id = await lab.run(forever);
    assert.equal((await lab.runtime.containerStatus({ containerId: id })).status?.user, undefined);
    const other = await lab.run(forever);
    const user = { uid: 1000, gid: 1000, additionalGids: [1000, 1234, 50_000] };
    await makeBundle(lab, other, JSON.stringify({ process: { user } }));
    const expected = [1000n, 1000n, [1000n, 1234n, 50_000n]];
    assert.deepEqual(await userOf(lab, other), expected);
    await lab.runtime.stopContainer({ containerId: other, timeout: 0n });
    assert.deepEqual(await userOf(lab, other), expected);
  });

  for (const [what, config, folder] of [
    ["no JSON", "{"],
    ["no user", "{}"],
    ["a user that is none", JSON.stringify({ process: { user: { uid: -1, gid: "x" } } })],
    ["another container's folder", JSON.stringify({ process: { user: { uid: 1, gid: 1 } } }), "/run/other"],
  ] as const) {
    it(`is absent with ${what}`, async () => {
      await using lab = await openLab();
      const id = await lab.run(forever);
      await makeBundle(lab, id, config, folder);
      assert.equal(await userOf(lab, id), undefined);
    });
  }
});
