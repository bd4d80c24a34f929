import {
  ScalarType,
  type DescEnum,
  type DescField,
  type DescFile,
  type DescMessage,
} from "@bufbuild/protobuf";
import { Edition } from "@bufbuild/protobuf/wkt";
import type { Statements } from "./statements.js";

/** What a built descriptor says. What the published table cannot express is spelled out, so as to differ. */
export function builtStatements(file: DescFile): Statements {
  const statements = new Map<string, string>([
    ["file package", file.proto.package],
    ["file syntax", file.edition === Edition.EDITION_PROTO3 ? "proto3" : String(file.edition)],
    ["file go_package", file.proto.options?.goPackage ?? ""],
  ]);
  for (const message of file.messages) addMessage(statements, message);
  for (const enumeration of file.enums) addEnum(statements, enumeration);
  for (const extension of file.extensions) statements.set(`extension ${localName(extension)}`, "");
  for (const service of file.services) {
    statements.set(`service ${localName(service)}`, deprecation(service).trim());
    for (const rpc of service.methods) {
      const kind = rpc.methodKind === "server_streaming" ? "stream" : rpc.methodKind;
      statements.set(
        `rpc ${localName(service)}.${rpc.name}`,
        `${kind} ${localName(rpc.input)} → ${localName(rpc.output)}${deprecation(rpc)}`,
      );
    }
  }
  return statements;
}

function addMessage(statements: Map<string, string>, message: DescMessage): void {
  statements.set(`message ${localName(message)}`, deprecation(message).trim());
  for (const field of message.fields) {
    statements.set(
      `field ${localName(message)}.${field.name}`,
      `${field.number} ${fieldType(field)}${deprecation(field)}`,
    );
  }
  for (const nested of message.nestedEnums) addEnum(statements, nested);
  for (const nested of message.nestedMessages) addMessage(statements, nested);
  for (const nested of message.nestedExtensions) statements.set(`extension ${localName(nested)}`, "");
}

function addEnum(statements: Map<string, string>, enumeration: DescEnum): void {
  statements.set(`enum ${localName(enumeration)}`, deprecation(enumeration).trim());
  for (const value of enumeration.values) {
    statements.set(`value ${localName(enumeration)}.${value.name}`, `${value.number}${deprecation(value)}`);
  }
}

/** A field's type as the table writes it: "repeated string", "map<string, string>", "IDMapping". */
function fieldType(field: DescField): string {
  switch (field.fieldKind) {
    case "list":
      return `repeated ${elementType(field)}`;
    case "map":
      return `map<${scalarName(field.mapKey)}, ${elementType(field)}>`;
    default:
      return `${choice(field)}${elementType(field)}`;
  }
}

function choice(field: DescField): string {
  if (field.proto.proto3Optional) return "optional ";
  return field.oneof ? `oneof ${field.oneof.name} ` : "";
}

function elementType(field: DescField): string {
  const named = field.message ?? field.enum;
  return named ? localName(named) : scalarName(field.scalar);
}

function scalarName(type: ScalarType | undefined): string {
  return type === undefined ? "?" : ScalarType[type].toLowerCase();
}

/** The name without the package: it is said once, for the file. */
function localName({ typeName, file }: { typeName: string; file: DescFile }): string {
  const prefix = `${file.proto.package}.`;
  return typeName.startsWith(prefix) ? typeName.slice(prefix.length) : typeName;
}

function deprecation({ deprecated }: { deprecated: boolean }): string {
  return deprecated ? " deprecated" : "";
}
