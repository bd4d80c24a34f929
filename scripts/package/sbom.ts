import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { nodeVersion } from "./inputs.js";
import { run } from "./run.js";

interface Spdx {
  documentNamespace: string;
  creationInfo: { created: string };
  packages: Record<string, unknown>[];
  relationships: Record<string, unknown>[];
}

/** The list of what is inside, as SPDX: npm's, and Node. @returns Its file name. */
export async function makeSbom(out: string, version: string, epoch: number): Promise<string> {
  const text = await run("npm", ["sbom", "--omit", "dev", "--sbom-format", "spdx", "--package-lock-only"]);
  const sbom = JSON.parse(text) as Spdx;
  // npm writes the time, and a random name; two builds of one version are to be the same.
  sbom.documentNamespace = `https://spdx.org/spdxdocs/docker-cri-${version}`;
  sbom.creationInfo.created = new Date(epoch * 1000).toISOString().replace(".000", "");
  const id = `SPDXRef-Package-node-${nodeVersion}`;
  sbom.packages.push({
    name: "node",
    SPDXID: id,
    versionInfo: nodeVersion,
    downloadLocation: "NOASSERTION",
    filesAnalyzed: false,
    licenseDeclared: "MIT",
  });
  sbom.relationships.push({
    spdxElementId: `SPDXRef-Package-docker-cri-${version}`,
    relatedSpdxElement: id,
    relationshipType: "DEPENDS_ON",
  });
  const name = `docker-cri-${version}.spdx.json`;
  await writeFile(join(out, name), `${JSON.stringify(sbom, undefined, 2)}\n`);
  return name;
}
