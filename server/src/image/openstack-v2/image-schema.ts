// Schemas of the image API, shown at /v2/schemas and used to check what clients send.
import { type TProperties, type TSchemaOptions, Type } from "typebox"
import { anyObject, closed, object, typed, word } from "../../platform/schema/make.ts"
import { containerFormats, diskFormats, imageStatuses, visibilities } from "../index.ts"

export const uuidPattern =
  "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"

const readOnly = { readOnly: true }
const text = (description: string, options: TSchemaOptions = {}) => Type.String({ ...options, description })
const textOrNull = (maxLength: number, description: string, options: TSchemaOptions = {}) =>
  typed(["null", "string"], { ...options, maxLength, description })
const integerOrNull = (description: string) => typed(["null", "integer"], { ...readOnly, description })
const textOrNullOf = (texts: readonly string[], description: string) =>
  typed(["null", "string"], { enum: [null, ...texts], description })
const sums = {
  checksum: Type.String({ maxLength: 32 }),
  os_hash_algo: Type.String({ maxLength: 64 }),
  os_hash_value: Type.String({ maxLength: 128 }),
}
export const validationData = closed(sums, ["os_hash_algo", "os_hash_value"])
/** Glance takes 255 characters at the most here, and more in web-download. */
const url = Type.String({ maxLength: 255 })
export const location = object({ url, metadata: anyObject, validation_data: validationData }, [
  "url",
  "metadata",
])

export const imageProperties = {
  id: text("Identifier of the image.", { pattern: uuidPattern }),
  name: textOrNull(255, "Name of the image."),
  status: word([...imageStatuses, "deleted"], { ...readOnly, description: "State of the image." }),
  visibility: word(visibilities, { description: "Who sees the image." }),
  protected: Type.Boolean({ description: "Whether the image is safe from being deleted." }),
  os_hidden: Type.Boolean({ description: "Whether lists leave the image out." }),
  checksum: textOrNull(32, "MD5 of the data.", readOnly),
  os_hash_algo: textOrNull(64, "Algorithm of os_hash_value.", readOnly),
  os_hash_value: textOrNull(128, "Hash of the data by os_hash_algo, in hexadecimal.", readOnly),
  owner: textOrNull(255, "Project that owns the image."),
  size: integerOrNull("Bytes of the data."),
  virtual_size: integerOrNull("Bytes of the disk that the data describe."),
  container_format: textOrNullOf(containerFormats, "Format of the container."),
  disk_format: textOrNullOf(diskFormats, "Format of the disk."),
  created_at: text("When the image was registered.", readOnly),
  updated_at: text("When the image was changed last.", readOnly),
  tags: Type.Array(Type.String({ maxLength: 255 }), { description: "Words that users put on the image." }),
  direct_url: text("Address of the data in the store.", readOnly),
  min_ram: Type.Integer({ description: "MiB of memory that a machine needs to boot the image." }),
  min_disk: Type.Integer({ description: "GiB of disk that a machine needs to boot the image." }),
  self: text("Path of the image.", readOnly),
  file: text("Path of the data of the image.", readOnly),
  stores: text("Stores that hold the data.", readOnly),
  schema: text("Path of the schema of an image.", readOnly),
  locations: Type.Array(location, { description: "Addresses of the data." }),
}

/** An image may have any further property, as long as it is a string. */
export const imageBody = object(imageProperties, [], { additionalProperties: Type.String() })

const own = { self: Type.String(readOnly), schema: Type.String(readOnly) }

export const memberProperties: TProperties = {
  member_id: text("Project that the image is shared with."),
  image_id: text("Identifier of the image.", { pattern: uuidPattern }),
  created_at: text("When the project was added."),
  updated_at: text("When the entry was changed last."),
  status: word(["pending", "accepted", "rejected"], { description: "What the project says to it." }),
  schema: own.schema,
}

export const taskProperties: TProperties = {
  id: text("Identifier of the task.", { pattern: uuidPattern }),
  type: word(["import", "api_image_import", "location_import"], { description: "Kind of work." }),
  status: word(["pending", "processing", "success", "failure"], { description: "How far it is." }),
  input: typed(["null", "object"], { description: "What was asked for." }),
  result: typed(["null", "object"], { description: "What came of it." }),
  owner: text("Project of who asked."),
  message: text("Why it failed."),
  image_id: text("Image that it works on."),
  request_id: text("Request that began it."),
  user_id: text("User who asked."),
  expires_at: typed(["null", "string"], { description: "When it is forgotten." }),
  created_at: text("When it was made."),
  updated_at: text("When it was changed last."),
  ...own,
}
