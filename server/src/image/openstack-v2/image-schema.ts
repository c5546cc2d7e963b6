// JSON Schemas of the image API, shown at /v2/schemas and used to check what clients send.

import type { JsonSchema } from "../../platform/http/wire.ts"
import { containerFormats, diskFormats, imageStatuses, visibilities } from "../index.ts"

export const uuidPattern =
  "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"

export type Properties = Readonly<Record<string, Readonly<Record<string, unknown>>>>

const textOrNull = (maxLength: number, description: string) => ({
  type: ["null", "string"],
  maxLength,
  description,
})

const readOnly = (schema: Readonly<Record<string, unknown>>) => ({ ...schema, readOnly: true })

export const imageProperties: Properties = {
  id: { type: "string", pattern: uuidPattern, description: "Identifier of the image." },
  name: textOrNull(255, "Name of the image."),
  status: readOnly({
    type: "string",
    enum: [...imageStatuses, "deleted"],
    description: "State of the image.",
  }),
  visibility: { type: "string", enum: [...visibilities], description: "Who sees the image." },
  protected: { type: "boolean", description: "Whether the image is safe from being deleted." },
  os_hidden: { type: "boolean", description: "Whether lists leave the image out." },
  checksum: readOnly(textOrNull(32, "MD5 of the data.")),
  os_hash_algo: readOnly(textOrNull(64, "Algorithm of os_hash_value.")),
  os_hash_value: readOnly(textOrNull(128, "Hash of the data by os_hash_algo, in hexadecimal.")),
  owner: textOrNull(255, "Project that owns the image."),
  size: readOnly({ type: ["null", "integer"], description: "Bytes of the data." }),
  virtual_size: readOnly({
    type: ["null", "integer"],
    description: "Bytes of the disk that the data describe.",
  }),
  container_format: {
    type: ["null", "string"],
    enum: [null, ...containerFormats],
    description: "Format of the container.",
  },
  disk_format: { type: ["null", "string"], enum: [null, ...diskFormats], description: "Format of the disk." },
  created_at: readOnly({ type: "string", description: "When the image was registered." }),
  updated_at: readOnly({ type: "string", description: "When the image was changed last." }),
  tags: {
    type: "array",
    items: { type: "string", maxLength: 255 },
    description: "Words that users put on the image.",
  },
  direct_url: readOnly({ type: "string", description: "Address of the data in the store." }),
  min_ram: { type: "integer", description: "MiB of memory that a machine needs to boot the image." },
  min_disk: { type: "integer", description: "GiB of disk that a machine needs to boot the image." },
  self: readOnly({ type: "string", description: "Path of the image." }),
  file: readOnly({ type: "string", description: "Path of the data of the image." }),
  stores: readOnly({ type: "string", description: "Stores that hold the data." }),
  schema: readOnly({ type: "string", description: "Path of the schema of an image." }),
  locations: {
    type: "array",
    description: "Addresses of the data.",
    items: {
      type: "object",
      properties: { url: { type: "string", maxLength: 255 }, metadata: { type: "object" } },
      required: ["url", "metadata"],
    },
  },
}

/** An image may have any further property, as long as it is a string. */
export const imageBody: JsonSchema = {
  type: "object",
  properties: imageProperties,
  additionalProperties: { type: "string" },
}

export const memberProperties: Properties = {
  member_id: { type: "string", description: "Project that the image is shared with." },
  image_id: { type: "string", pattern: uuidPattern, description: "Identifier of the image." },
  created_at: { type: "string", description: "When the project was added." },
  updated_at: { type: "string", description: "When the entry was changed last." },
  status: {
    type: "string",
    enum: ["pending", "accepted", "rejected"],
    description: "What the project says to it.",
  },
  schema: { type: "string", readOnly: true },
}

export const taskProperties: Properties = {
  id: { type: "string", pattern: uuidPattern, description: "Identifier of the task." },
  type: {
    type: "string",
    enum: ["import", "api_image_import", "location_import"],
    description: "Kind of work.",
  },
  status: {
    type: "string",
    enum: ["pending", "processing", "success", "failure"],
    description: "How far it is.",
  },
  input: { type: ["null", "object"], description: "What was asked for." },
  result: { type: ["null", "object"], description: "What came of it." },
  owner: { type: "string", description: "Project of who asked." },
  message: { type: "string", description: "Why it failed." },
  image_id: { type: "string", description: "Image that it works on." },
  request_id: { type: "string", description: "Request that began it." },
  user_id: { type: "string", description: "User who asked." },
  expires_at: { type: ["null", "string"], description: "When it is forgotten." },
  created_at: { type: "string", description: "When it was made." },
  updated_at: { type: "string", description: "When it was changed last." },
  self: { type: "string", readOnly: true },
  schema: { type: "string", readOnly: true },
}
