import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import {
  CapabilitySchema,
  Int64ValueSchema,
  LinuxContainerSecurityContextSchema,
  LinuxSandboxSecurityContextSchema,
  SecurityProfileSchema,
  SecurityProfile_ProfileType as ProfileType,
  SELinuxOptionSchema,
} from "../../../src/gen/runtime/v1/api_pb.js";
import { seccompFile } from "../../../src/translate/index.js";
import { seccompOption } from "../../../src/translate/seccomp.js";
import {
  apparmorOption,
  capabilities,
  groups,
  paths,
  selinuxLabels,
  userAndGroup,
} from "../../../src/translate/security.js";
import { environment, oldEnvironment } from "./engine-environment.js";
import { refuses, unknownEnum } from "./refuses.js";

const value = (number: bigint | undefined) =>
  number === undefined ? undefined : create(Int64ValueSchema, { value: number });

describe("the user of a process", () => {
  for (const [user, name, group, expected] of [
    [undefined, "", undefined, undefined],
    [0n, "", undefined, "0"],
    [1000n, "", undefined, "1000"],
    [1000n, "", 0n, "1000:0"],
    [undefined, "www-data", undefined, "www-data"],
    [undefined, "www-data", 33n, "www-data:33"],
  ] as const) {
    it(`is ${expected ?? "the image's"} for uid ${user ?? "none"}, name "${name}", gid ${group ?? "none"}`, () => {
      const identity = { runAsUser: value(user), runAsUsername: name, runAsGroup: value(group) };
      assert.equal(userAndGroup(identity, "sc"), expected);
    });
  }

  for (const [message, identity] of [
    [/sc\.run_as_group needs/, { runAsGroup: value(1n) }],
    [/sc\.run_as_username excludes/, { runAsUser: value(1n), runAsUsername: "a" }],
    [/sc\.run_as_user is -1/, { runAsUser: value(-1n) }],
    [/sc\.run_as_user is 2147483648/, { runAsUser: value(2_147_483_648n) }],
    [/sc\.run_as_group is -5/, { runAsUser: value(1n), runAsGroup: value(-5n) }],
    [/sc\.run_as_username is not/, { runAsUsername: "a:0" }],
    [/sc\.run_as_username is not/, { runAsUsername: "a\n" }],
  ] as const) {
    it(`is refused: ${message.source}`, () => {
      refuses("invalid-argument", message, () => userAndGroup(identity, "sc"));
    });
  }

  it("has supplemental groups in decimal", () => {
    assert.deepEqual(groups([0n, 50_000n], "sc"), ["0", "50000"]);
    refuses("invalid-argument", /sc\.supplemental_groups/, () => groups([-1n], "sc"));
  });
});

describe("capabilities", () => {
  it("are named as Docker names them, each once", () => {
    const asked = create(CapabilitySchema, {
      addCapabilities: ["NET_ADMIN", "CAP_NET_ADMIN", "cap_sys_time"],
      dropCapabilities: ["ALL", "all"],
    });
    assert.deepEqual(capabilities(asked), { capAdd: ["NET_ADMIN", "SYS_TIME"], capDrop: ["ALL"] });
  });

  it("are Docker's default without a word", () => {
    assert.deepEqual(capabilities(undefined), {});
    assert.deepEqual(capabilities(create(CapabilitySchema)), {});
  });

  it("refuses invalid names", () => {
    refuses("invalid-argument", /drop_capabilities/, () =>
      capabilities(create(CapabilitySchema, { dropCapabilities: ["NET ADMIN"] })),
    );
    refuses("invalid-argument", /add_capabilities/, () =>
      capabilities(create(CapabilitySchema, { addCapabilities: [""] })),
    );
  });
});

describe("an SELinux label", () => {
  it("is given by those parts that are there", () => {
    const all = { user: "u", role: "r", type: "t", level: "s0:c1,c2" };
    assert.deepEqual(selinuxLabels(create(SELinuxOptionSchema, all), "sc"), [
      "label=user:u",
      "label=role:r",
      "label=type:t",
      "label=level:s0:c1,c2",
    ]);
    assert.deepEqual(selinuxLabels(create(SELinuxOptionSchema, { type: "t" }), "sc"), ["label=type:t"]);
    assert.deepEqual(selinuxLabels(create(SELinuxOptionSchema), "sc"), []);
    assert.deepEqual(selinuxLabels(undefined, "sc"), []);
  });

  it("is refused with a NUL byte", () => {
    refuses("invalid-argument", /selinux_options\.level/, () =>
      selinuxLabels(create(SELinuxOptionSchema, { level: "\0" }), "sc"),
    );
  });
});

describe("AppArmor", () => {
  for (const [profileType, localhostRef, deprecated, expected] of [
    [undefined, "", "", []],
    [undefined, "", "runtime/default", []],
    [undefined, "", "unconfined", ["apparmor=unconfined"]],
    [undefined, "", "localhost/mine", ["apparmor=mine"]],
    [undefined, "", "mine", ["apparmor=mine"]],
    [ProfileType.RuntimeDefault, "", "unconfined", []],
    [ProfileType.Unconfined, "", "", ["apparmor=unconfined"]],
    [ProfileType.Localhost, "mine", "localhost/other", ["apparmor=mine"]],
    [ProfileType.Localhost, "localhost/mine", "", ["apparmor=mine"]],
  ] as const) {
    const name = profileType === undefined ? "no profile" : ProfileType[profileType];
    it(`with ${name} "${localhostRef}", before that "${deprecated}", is ${expected[0] ?? "the default"}`, () => {
      const profile =
        profileType === undefined ? undefined : create(SecurityProfileSchema, { profileType, localhostRef });
      assert.deepEqual(apparmorOption(profile, deprecated, environment(), "sc"), expected);
    });
  }

  it("is passed over where Docker has none, but for a named profile", () => {
    const profile = (profileType: ProfileType) =>
      create(SecurityProfileSchema, { profileType, localhostRef: "mine" });
    assert.deepEqual(apparmorOption(profile(ProfileType.Unconfined), "", oldEnvironment, "sc"), []);
    assert.deepEqual(apparmorOption(profile(ProfileType.RuntimeDefault), "", oldEnvironment, "sc"), []);
    refuses("unsupported", /"mine".*without AppArmor/, () =>
      apparmorOption(profile(ProfileType.Localhost), "", oldEnvironment, "sc"),
    );
  });

  it("is refused without a name, and with an unknown type", () => {
    refuses("invalid-argument", /localhost_ref is missing/, () =>
      apparmorOption(
        create(SecurityProfileSchema, { profileType: ProfileType.Localhost }),
        "",
        environment(),
        "sc",
      ),
    );
    refuses("invalid-argument", /profile_type has the value 99/, () =>
      apparmorOption(create(SecurityProfileSchema, { profileType: unknownEnum() }), "", environment(), "sc"),
    );
  });
});

describe("seccomp", () => {
  const content = '{"defaultAction":"SCMP_ACT_ALLOW","archMap":[],"syscalls":[]}';
  const file = "/var/lib/kubelet/seccomp/mine.json";
  const profile = (profileType: ProfileType) => ({ profileType, localhostRef: file });
  const ofContainer = (init: object) => create(LinuxContainerSecurityContextSchema, init);
  const ofSandbox = (init: object) => create(LinuxSandboxSecurityContextSchema, init);
  const unconfined = ["seccomp=unconfined"];
  const whole = [`seccomp=${content}`];

  for (const [name, context, expected] of [
    ["no security context: Docker's default", undefined, []],
    ["a container without a profile: none, as CRI says", ofContainer({}), unconfined],
    ["a sandbox without a profile: Docker's default", ofSandbox({}), []],
    ["RuntimeDefault", ofContainer({ seccomp: profile(ProfileType.RuntimeDefault) }), []],
    ["Unconfined", ofContainer({ seccomp: profile(ProfileType.Unconfined) }), unconfined],
    ["Localhost: the whole file", ofContainer({ seccomp: profile(ProfileType.Localhost) }), whole],
    ["Localhost of a sandbox", ofSandbox({ seccomp: profile(ProfileType.Localhost) }), whole],
    [
      "a privileged container: none, whatever it asks for",
      ofContainer({ privileged: true, seccomp: profile(ProfileType.Localhost) }),
      unconfined,
    ],
    ["the older runtime/default", ofContainer({ seccompProfilePath: "runtime/default" }), []],
    ["the older docker/default", ofContainer({ seccompProfilePath: "docker/default" }), []],
    ["the older unconfined", ofContainer({ seccompProfilePath: "unconfined" }), unconfined],
    ["the older localhost", ofContainer({ seccompProfilePath: `localhost/${file}` }), whole],
    [
      "both: the newer one counts",
      ofContainer({ seccomp: profile(ProfileType.RuntimeDefault), seccompProfilePath: "unconfined" }),
      [],
    ],
  ] as const) {
    it(`maps ${name}`, () => {
      assert.deepEqual(seccompOption(context, content, environment()), expected);
      assert.equal(seccompFile(context), expected === whole ? file : undefined);
    });
  }

  for (const [name, bad, message] of [
    ["what is not JSON", "defaultAction: x", /is not JSON/],
    ["nothing", "", /is not JSON/],
    ["a list", "[]", /not a JSON object/],
    ["null", "null", /not a JSON object/],
    ["a profile without a default action, which Docker takes for none", "{}", /defaultAction/],
    ["a default action of another kind", '{"defaultAction":1}', /defaultAction/],
    ["an unknown default action", '{"defaultAction":"ALLOW"}', /defaultAction/],
  ] as const) {
    it(`refuses a file with ${name}`, () => {
      const context = ofContainer({ seccomp: profile(ProfileType.Localhost) });
      refuses("invalid-argument", message, () => seccompOption(context, bad, environment()));
    });
  }

  for (const [name, context, message] of [
    [
      "a relative path",
      ofContainer({ seccomp: { profileType: ProfileType.Localhost, localhostRef: "mine.json" } }),
      /localhost_ref must be an absolute path/,
    ],
    [
      "an older relative path",
      ofContainer({ seccompProfilePath: "localhost/mine.json" }),
      /seccomp_profile_path must be an absolute path/,
    ],
    ["an older unknown word", ofContainer({ seccompProfilePath: "mine" }), /runtime\/default, unconfined or/],
    ["an unknown type", ofContainer({ seccomp: { profileType: unknownEnum() } }), /has the value 99/],
  ] as const) {
    it(`refuses ${name}`, () => {
      refuses("invalid-argument", message, () => seccompFile(context));
      refuses("invalid-argument", message, () => seccompOption(context, content, environment()));
    });
  }

  it("refuses a file's profile without seccomp, and one that was not read", () => {
    const context = ofContainer({ seccomp: profile(ProfileType.Localhost) });
    const env = environment({ security: { seccomp: false, apparmor: false, selinux: false } });
    refuses("unsupported", /without seccomp/, () => seccompOption(context, content, env));
    refuses("internal", /was not read/, () => seccompOption(context, undefined, environment()));
  });
});

describe("masked and read-only paths", () => {
  it("are absolute", () => {
    assert.deepEqual(paths(["/proc/kcore", "/sys"], "sc.masked_paths"), ["/proc/kcore", "/sys"]);
    assert.deepEqual(paths([], "sc.masked_paths"), []);
    refuses("invalid-argument", /sc\.masked_paths/, () => paths(["proc"], "sc.masked_paths"));
  });
});
