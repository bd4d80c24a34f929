import { after, before, describe } from "node:test";
import { describeExamples } from "./examples.js";
import { describeMetrics } from "./metrics.js";
import { describePackage } from "./package.js";
import { describeServe } from "./serve.js";
import { stagePackage, type Stage } from "./support/stage.js";

// Building and packing takes longer than the tests: they share one stage.
describe("docker-cri as it is packed", () => {
  let stage: Stage;
  before(async () => {
    stage = await stagePackage();
  });
  after(() => stage[Symbol.asyncDispose]());

  describePackage(() => stage);
  describeExamples(() => stage);
  describeServe(() => stage);
  describeMetrics(() => stage);
});
