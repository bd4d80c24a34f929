import { createMemoryDocker } from "../../src/drivers/memory/index.js";
import { describeDockerService } from "./docker-service-suite.js";

describeDockerService("the memory engine as a DockerService", () => {
  const engine = createMemoryDocker({ images: ["busybox:1.36"] });
  engine.registry.add("registry.example/contract/pull:1");
  return Promise.resolve({
    service: engine,
    image: "busybox:1.36",
    pullable: "registry.example/contract/pull:1",
    close: () => engine.close(),
  });
});
