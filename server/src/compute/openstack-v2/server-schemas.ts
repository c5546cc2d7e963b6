// Bodies of POST and PUT /servers and of the actions with parameters, by microversion: each version has what the one
// before it has and what it says.
import { type TProperties, Type } from "typebox"
import { type BodyOf, versions } from "../../platform/http/versions.ts"
import { closed, type Fields, nullable, object, typed, word } from "../../platform/schema/make.ts"
import { schedulerHints } from "../index.ts"
import {
  base64,
  bodyOf,
  bodyWith,
  boolean,
  description,
  diskConfig,
  fqdn,
  hostname,
  ipAddress,
  ipv4,
  ipv6,
  metadata,
  name,
  nameOrNull,
  positiveInteger,
  tag,
  uuid,
} from "./schema-parts.ts"

const oldDevice = {
  virtual_name: Type.String({ maxLength: 255 }),
  volume_id: uuid,
  snapshot_id: uuid,
  volume_size: typed(["integer", "string"], { pattern: "^[0-9]+$", minimum: 1, maximum: 0x7fffffff }),
  device_name: Type.String({ minLength: 1, maxLength: 255, pattern: "^[a-zA-Z0-9._/-]*$" }),
  delete_on_termination: boolean,
  no_device: Type.Unknown(),
  connection_info: Type.String({ maxLength: 16_777_215 }),
}
const device = {
  ...oldDevice,
  source_type: word(["volume", "image", "snapshot", "blank"]),
  uuid: Type.String({ minLength: 1, maxLength: 255, pattern: "^[a-zA-Z0-9._-]*$" }),
  image_id: uuid,
  destination_type: word(["local", "volume"]),
  guest_format: Type.String({ maxLength: 255 }),
  device_type: Type.String({ maxLength: 255 }),
  disk_bus: Type.String({ maxLength: 255 }),
  boot_index: typed(["integer", "string", "null"], { pattern: "^-?[0-9]+$" }),
}
const listOf = <P extends TProperties>(properties: P) => Type.Array(closed(properties))
const devices = listOf(device)
const taggedDevices = listOf({ ...device, tag })
const volumeType = typed(["string", "null"], { maxLength: 255 })
const typedDevices = listOf({ ...device, tag, volume_type: volumeType })
/** Of either kind. */
export type BlockDeviceBody = Fields<typeof device & { tag: typeof tag; volume_type: typeof volumeType }>

const network = { fixed_ip: ipAddress, port: nullable(uuid), uuid }
const networks = listOf(network)
const taggedNetworks = listOf({ ...network, tag })
const networkWord = word(["none", "auto"])
export type NetworkBody = Fields<typeof network & { tag: typeof tag }>

const personality = Type.Array(closed({ path: Type.String(), contents: Type.String() }, ["path", "contents"]))
export const adminPass = Type.String({ maxLength: 255 })
const flavorRef = typed(["string", "integer"], { minLength: 1 })
const certificate = Type.String({ minLength: 1 })
const trustedCertificates = nullable(
  Type.Array(certificate, { minItems: 1, maxItems: 50, uniqueItems: true }),
)

const created = {
  name,
  imageRef: Type.Union([uuid, Type.String({ maxLength: 0 })]),
  flavorRef,
  adminPass,
  metadata,
  networks,
  "OS-DCF:diskConfig": diskConfig,
  accessIPv4: ipv4,
  accessIPv6: ipv6,
  personality,
  availability_zone: name,
  block_device_mapping: listOf(oldDevice),
  block_device_mapping_v2: devices,
  config_drive: boolean,
  key_name: name,
  min_count: positiveInteger,
  max_count: positiveInteger,
  return_reservation_id: boolean,
  security_groups: listOf({ name }),
  user_data: base64,
}
const created219 = { ...created, description }
const created232 = { ...created219, networks: taggedNetworks, block_device_mapping_v2: taggedDevices }
const created233 = { ...created232, block_device_mapping_v2: devices }
const created237 = { ...created233, networks: Type.Union([networks, networkWord]) }
const created242 = {
  ...created237,
  networks: Type.Union([taggedNetworks, networkWord]),
  block_device_mapping_v2: taggedDevices,
}
const created252 = { ...created242, tags: Type.Array(tag, { maxItems: 50 }) }
const { personality: _until257, ...created257 } = created252
const created263 = { ...created257, trusted_image_certificates: trustedCertificates }
const created267 = { ...created263, block_device_mapping_v2: typedDevices }
const created274 = { ...created267, host: fqdn, hypervisor_hostname: fqdn }
const created290 = { ...created274, hostname }
const created294 = { ...created290, hostname: fqdn }

const hints = object(
  Object.fromEntries(Object.entries(schedulerHints).map(([name, { schema }]) => [name, schema])),
  [],
  { additionalProperties: true },
)

type Needed = { name: typeof name; flavorRef: typeof flavorRef }

function createBody<P extends TProperties & Needed, const R extends readonly (keyof P & string)[] = []>(
  properties: P,
  required?: R,
) {
  const server = closed(properties, ["name", "flavorRef", ...(required ?? [])])
  return closed({ server, "os:scheduler_hints": hints, "OS-SCH-HNT:scheduler_hints": hints }, ["server"])
}

export const createServerSchemas = versions({
  "2.1": createBody(created),
  "2.19": createBody(created219),
  "2.32": createBody(created232),
  "2.33": createBody(created233),
  "2.37": createBody(created237, ["networks"]),
  "2.42": createBody(created242, ["networks"]),
  "2.52": createBody(created252, ["networks"]),
  "2.57": createBody(created257, ["networks"]),
  "2.63": createBody(created263, ["networks"]),
  "2.67": createBody(created267, ["networks"]),
  "2.74": createBody(created274, ["networks"]),
  "2.90": createBody(created290, ["networks"]),
  "2.94": createBody(created294, ["networks"]),
})
export type CreateServerBody = BodyOf<typeof createServerSchemas>

const updated = { name, "OS-DCF:diskConfig": diskConfig, accessIPv4: ipv4, accessIPv6: ipv6 }
const updated219 = { ...updated, description }

export const updateServerSchemas = versions({
  "2.1": bodyOf("server", updated),
  "2.19": bodyOf("server", updated219),
  "2.90": bodyOf("server", { ...updated219, hostname }),
  "2.94": bodyOf("server", { ...updated219, hostname: fqdn }),
})
export type UpdateServerBody = BodyOf<typeof updateServerSchemas>

const rebuilt = {
  name,
  imageRef: uuid,
  adminPass,
  metadata,
  preserve_ephemeral: boolean,
  "OS-DCF:diskConfig": diskConfig,
  accessIPv4: ipv4,
  accessIPv6: ipv6,
  personality,
}
const rebuilt219 = { ...rebuilt, description }
const rebuilt254 = { ...rebuilt219, key_name: nameOrNull }
const { personality: _since257, ...rebuiltWithout } = rebuilt254
const rebuilt257 = { ...rebuiltWithout, user_data: nullable(base64) }
const rebuilt263 = { ...rebuilt257, trusted_image_certificates: trustedCertificates }

export const rebuildServerSchemas = versions({
  "2.1": bodyOf("rebuild", rebuilt, ["imageRef"]),
  "2.19": bodyOf("rebuild", rebuilt219, ["imageRef"]),
  "2.54": bodyOf("rebuild", rebuilt254, ["imageRef"]),
  "2.57": bodyOf("rebuild", rebuilt257, ["imageRef"]),
  "2.63": bodyOf("rebuild", rebuilt263, ["imageRef"]),
  "2.90": bodyOf("rebuild", { ...rebuilt263, hostname }, ["imageRef"]),
  "2.94": bodyOf("rebuild", { ...rebuilt263, hostname: fqdn }, ["imageRef"]),
})

export const resizeServerSchema = bodyOf("resize", { flavorRef, "OS-DCF:diskConfig": diskConfig }, [
  "flavorRef",
])
const rotation = typed(["integer", "string"], { pattern: "^[0-9]+$", minLength: 1, minimum: 0 })
export const createBackupSchema = bodyOf(
  "createBackup",
  { name, backup_type: Type.String({ maxLength: 255 }), rotation, metadata },
  ["name", "backup_type", "rotation"],
)
export const createImageSchema = bodyOf("createImage", { name, metadata }, ["name"])

export const rebootSchema = bodyOf(
  "reboot",
  { type: word(["HARD", "Hard", "hard", "SOFT", "Soft", "soft"]) },
  ["type"],
)
export const rescueSchema = bodyWith("rescue", nullable(closed({ adminPass, rescue_image_ref: uuid })))

/** For an action that takes whatever is said and passes it over: its handler has nothing to read. */
const passedOver = Type.Unsafe<undefined>({})
export const anything = <K extends string>(key: K) => bodyWith(key, passedOver)

const unshelveBody = <P extends TProperties>(properties: P) =>
  bodyWith("unshelve", nullable(closed(properties, [], { minProperties: 1 })))
export const unshelveSchemas = versions({
  "2.1": anything("unshelve"),
  "2.77": unshelveBody({ availability_zone: name }),
  "2.91": unshelveBody({ availability_zone: nameOrNull, host: fqdn }),
})
export const lockSchemas = versions({
  "2.1": anything("lock"),
  "2.73": bodyWith(
    "lock",
    nullable(closed({ locked_reason: Type.String({ minLength: 1, maxLength: 255 }) })),
  ),
})
export const resetStateSchema = bodyOf("os-resetState", { state: word(["active", "error"]) }, ["state"])
const length = typed(["integer", "string", "null"], { pattern: "^-?[0-9]+$", minimum: -1 })
export const consoleOutputSchema = bodyWith("os-getConsoleOutput", nullable(closed({ length })))

/** Older clients send the address of a thing where its id is meant. */
export function lastPart(reference: string): string {
  return reference.split("/").at(-1) ?? reference
}
