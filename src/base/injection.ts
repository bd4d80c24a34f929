// tsyringe refuses to load before somebody has put Reflect's metadata functions there.
import "reflect-metadata";

export { inject, injectable } from "tsyringe";
