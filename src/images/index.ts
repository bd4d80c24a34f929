export { Images } from "./images.js";
