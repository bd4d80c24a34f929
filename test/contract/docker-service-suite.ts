import { after, afterEach, before, describe } from "node:test";
import { testAttach } from "./docker-service/attach.js";
import { testContainers } from "./docker-service/containers.js";
import { testEvents } from "./docker-service/events.js";
import { testExecs } from "./docker-service/execs.js";
import { testImages } from "./docker-service/images.js";
import { testLifecycle } from "./docker-service/lifecycle.js";
import { testLogs } from "./docker-service/logs.js";
import { Scene, type OpenService } from "./docker-service/scene.js";
import { testSystem } from "./docker-service/system.js";

export type { OpenedService, OpenService } from "./docker-service/scene.js";

const parts = {
  containers: testContainers,
  lifecycle: testLifecycle,
  logs: testLogs,
  execs: testExecs,
  attach: testAttach,
  events: testEvents,
  images: testImages,
  system: testSystem,
};

/**
 * What every driver of the DockerService port has to do, in memory and on real Docker alike.
 * @param open Opens a service for each part; the image is a busybox with a shell.
 */
export function describeDockerService(title: string, open: OpenService): void {
  describe(title, { timeout: 600_000 }, () => {
    for (const [part, define] of Object.entries(parts)) {
      describe(part, () => {
        let scene: Scene | undefined;
        before(async () => {
          scene = new Scene(await open());
        });
        afterEach(async () => {
          await scene?.tidy();
        });
        after(async () => {
          await scene?.close();
        });
        const current = () => {
          if (!scene) throw new Error("the engine could not be opened");
          return scene;
        };
        define(current, open);
      });
    }
  });
}
