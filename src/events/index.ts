export { ContainerEvents } from "./container-events.js";
