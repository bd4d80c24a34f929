// tsyringe needs Reflect's metadata functions when it is loaded.
import "reflect-metadata";

export { inject, injectable } from "tsyringe";
