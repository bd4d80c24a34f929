export * from "../drivers/memory/index.js";
export { createTestShim, type TestShim, type TestShimOptions } from "./create-test-shim.js";
