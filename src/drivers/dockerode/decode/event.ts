import type { DockerEvent } from "../../../docker/index.js";
import { parseJson } from "../body.js";
import { fields, mustBeObject, number, oneOf, text, textMap } from "./json.js";

/**
 * One line of the event stream.
 * @throws Malformed when it is not JSON, or has no time.
 * @see Docker API GET /events
 */
export function decodeEvent(line: string): DockerEvent {
  const event = mustBeObject(parseJson(line), "an event");
  const actor = fields(event["Actor"]);
  const action = text(event["Action"]) ?? text(event["status"]) ?? "";
  return {
    type: oneOf(event["Type"], "container", "image", "daemon") ?? "other",
    action: action.split(":", 1)[0]?.trim() ?? "",
    subject: text(actor["ID"]) ?? text(event["id"]) ?? "",
    timeNanos: exactTime(line) ?? BigInt(Math.trunc(number(event["time"]) ?? 0)) * 1_000_000_000n,
    attributes: textMap(actor["Attributes"]) ?? {},
  };
}

/**
 * JSON.parse would round the nanoseconds to a multiple of 256. Quotes inside a JSON string are escaped, so only a key can
 * match; attributes have no numbers.
 */
function exactTime(line: string): bigint | undefined {
  const digits = /"timeNano"\s*:\s*(\d{1,19})\s*[,}]/.exec(line.slice(line.lastIndexOf('"timeNano"')))?.[1];
  return digits === undefined ? undefined : BigInt(digits);
}
