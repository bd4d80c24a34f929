export type { Disk } from "./filesystems.js";
export { Images } from "./images.js";
