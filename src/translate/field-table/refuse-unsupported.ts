import { createRegistry, type DescField, type Message } from "@bufbuild/protobuf";
import { reflect, type ReflectMessage } from "@bufbuild/protobuf/reflect";
import { ShimError } from "../../base/index.js";
import { file_runtime_v1_api } from "../../gen/runtime/v1/api_pb.js";
import { unknownValue, unsupported } from "../validation.js";
import { fieldTable } from "./table.js";

const registry = createRegistry(file_runtime_v1_api);

/**
 * Checks a request, or a part of one, against the field table, so that no field is silently ignored.
 * @param path The path of the message in its request, for the error.
 * @throws ShimError "unsupported" for a refused field that is set; "invalid-argument" for an enum value that CRI v1 does
 *   not define.
 */
export function refuseUnsupported(message: Message, path = ""): void {
  const desc = registry.getMessage(message.$typeName);
  if (!desc) throw new ShimError("internal", `${message.$typeName} is not a message of CRI v1`);
  walk(reflect(desc, message), path);
}

function walk(message: ReflectMessage, path: string): void {
  for (const field of message.fields) {
    if (!message.isSet(field)) continue;
    const name = path === "" ? field.name : `${path}.${field.name}`;
    const treatment = fieldTable[message.desc.name]?.[field.name];
    if (!treatment) throw new ShimError("internal", `${name} has no entry in the field table`);
    if (treatment.how === "refused") throw unsupported(name, treatment.why);
    if (treatment.how === "mapped") descend(message, field, name);
  }
}

function descend(message: ReflectMessage, field: DescField, name: string): void {
  if (field.fieldKind === "enum") {
    const value = message.get(field);
    if (!(value in field.enum.value)) throw unknownValue(name, value);
  } else if (field.fieldKind === "message") {
    walk(message.get(field), name);
  } else if (field.fieldKind === "list" && field.listKind === "message") {
    let index = 0;
    for (const item of message.get(field)) walk(item as ReflectMessage, `${name}[${index++}]`);
  }
}
