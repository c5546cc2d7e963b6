// Bodies of POST and PUT /servers by microversion. Each entry says from which version on it holds.

import type { TSchema as JsonSchema } from "typebox"
import { type Versions, versions } from "../../platform/http/versions.ts"
import {
  base64,
  bodyOf,
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

type Properties = Record<string, JsonSchema>
/** From each version on, these properties are added; undefined takes one away. */
type Steps = readonly (readonly [from: string, changes: Record<string, JsonSchema | undefined>])[]

function bySteps(
  first: Properties,
  steps: Steps,
  wrap: (properties: Properties, from: string) => JsonSchema,
): Versions {
  const found: Record<string, JsonSchema> = { "2.1": wrap(first, "2.1") }
  let properties = first
  for (const [from, changes] of steps) {
    const next: Properties = {}
    for (const [key, value] of Object.entries({ ...properties, ...changes }))
      if (value !== undefined) next[key] = value
    properties = next
    found[from] = wrap(properties, from)
  }
  return versions(found)
}

const integerOrDigits: JsonSchema = { type: ["integer", "string", "null"], pattern: "^-?[0-9]+$" }

function blockDevice(extra: Properties): JsonSchema {
  return {
    type: "array",
    items: {
      type: "object",
      properties: {
        virtual_name: { type: "string", maxLength: 255 },
        volume_id: uuid,
        snapshot_id: uuid,
        volume_size: { type: ["integer", "string"], pattern: "^[0-9]+$", minimum: 1, maximum: 0x7fffffff },
        device_name: { type: "string", minLength: 1, maxLength: 255, pattern: "^[a-zA-Z0-9._/-]*$" },
        delete_on_termination: boolean,
        no_device: {},
        connection_info: { type: "string", maxLength: 16_777_215 },
        ...extra,
      },
      additionalProperties: false,
    },
  }
}

const blockDeviceV2: Properties = {
  source_type: { type: "string", enum: ["volume", "image", "snapshot", "blank"] },
  uuid: { type: "string", minLength: 1, maxLength: 255, pattern: "^[a-zA-Z0-9._-]*$" },
  image_id: uuid,
  destination_type: { type: "string", enum: ["local", "volume"] },
  guest_format: { type: "string", maxLength: 255 },
  device_type: { type: "string", maxLength: 255 },
  disk_bus: { type: "string", maxLength: 255 },
  boot_index: integerOrDigits,
}

function networkList(extra: Properties): JsonSchema {
  return {
    type: "array",
    items: {
      type: "object",
      properties: {
        fixed_ip: ipAddress,
        port: { anyOf: [uuid, { type: "null" }] },
        uuid: { type: "string", format: "uuid" },
        ...extra,
      },
      additionalProperties: false,
    },
  }
}
const networksOrWord = (extra: Properties): JsonSchema => ({
  anyOf: [networkList(extra), { type: "string", enum: ["none", "auto"] }],
})

const personality: JsonSchema = {
  type: "array",
  items: {
    type: "object",
    properties: { path: { type: "string" }, contents: { type: "string" } },
    additionalProperties: false,
  },
}

export const adminPass: JsonSchema = { type: "string", maxLength: 255 }
const imageOrEmpty: JsonSchema = { anyOf: [uuid, { type: "string", maxLength: 0 }] }
const flavorRef: JsonSchema = { type: ["string", "integer"], minLength: 1 }
const trustedCertificates: JsonSchema = {
  anyOf: [
    {
      type: "array",
      minItems: 1,
      maxItems: 50,
      uniqueItems: true,
      items: { type: "string", minLength: 1 },
    },
    { type: "null" },
  ],
}

const createdAlways: Properties = {
  name,
  imageRef: imageOrEmpty,
  flavorRef,
  adminPass,
  metadata,
  networks: networkList({}),
  "OS-DCF:diskConfig": diskConfig,
  accessIPv4: ipv4,
  accessIPv6: ipv6,
  personality,
  availability_zone: name,
  block_device_mapping: blockDevice({}),
  block_device_mapping_v2: blockDevice(blockDeviceV2),
  config_drive: boolean,
  key_name: name,
  min_count: positiveInteger,
  max_count: positiveInteger,
  return_reservation_id: boolean,
  security_groups: {
    type: "array",
    items: { type: "object", properties: { name }, additionalProperties: false },
  },
  user_data: base64,
}

const serverIds: JsonSchema = { anyOf: [uuid, { type: "array", items: uuid }] }
const hints: JsonSchema = {
  type: "object",
  properties: { group: serverIds, different_host: serverIds, same_host: serverIds },
  additionalProperties: true,
}

export const createServerSchemas = bySteps(
  createdAlways,
  [
    ["2.19", { description }],
    [
      "2.32",
      { networks: networkList({ tag }), block_device_mapping_v2: blockDevice({ ...blockDeviceV2, tag }) },
    ],
    ["2.33", { block_device_mapping_v2: blockDevice(blockDeviceV2) }],
    ["2.37", { networks: networksOrWord({}) }],
    [
      "2.42",
      { networks: networksOrWord({ tag }), block_device_mapping_v2: blockDevice({ ...blockDeviceV2, tag }) },
    ],
    ["2.52", { tags: { type: "array", items: tag, maxItems: 50 } }],
    ["2.57", { personality: undefined }],
    ["2.63", { trusted_image_certificates: trustedCertificates }],
    [
      "2.67",
      {
        block_device_mapping_v2: blockDevice({
          ...blockDeviceV2,
          tag,
          volume_type: { type: ["string", "null"], maxLength: 255 },
        }),
      },
    ],
    ["2.74", { host: fqdn, hypervisor_hostname: fqdn }],
    ["2.90", { hostname }],
    ["2.94", { hostname: fqdn }],
  ],
  (properties, from) => ({
    type: "object",
    properties: {
      server: {
        type: "object",
        properties,
        required: ["name", "flavorRef", ...(Number(from.slice(2)) >= 37 ? ["networks"] : [])],
        additionalProperties: false,
      },
      "os:scheduler_hints": hints,
      "OS-SCH-HNT:scheduler_hints": hints,
    },
    required: ["server"],
    additionalProperties: false,
  }),
)

export const updateServerSchemas = bySteps(
  { name, "OS-DCF:diskConfig": diskConfig, accessIPv4: ipv4, accessIPv6: ipv6 },
  [
    ["2.19", { description }],
    ["2.90", { hostname }],
    ["2.94", { hostname: fqdn }],
  ],
  (properties) => bodyOf("server", properties),
)

export const rebuildServerSchemas = bySteps(
  {
    name,
    imageRef: uuid,
    adminPass,
    metadata,
    preserve_ephemeral: boolean,
    "OS-DCF:diskConfig": diskConfig,
    accessIPv4: ipv4,
    accessIPv6: ipv6,
    personality,
  },
  [
    ["2.19", { description }],
    ["2.54", { key_name: nameOrNull }],
    ["2.57", { personality: undefined, user_data: { anyOf: [base64, { type: "null" }] } }],
    ["2.63", { trusted_image_certificates: trustedCertificates }],
    ["2.90", { hostname }],
    ["2.94", { hostname: fqdn }],
  ],
  (properties) => bodyOf("rebuild", properties, ["imageRef"]),
)

export const resizeServerSchema = bodyOf("resize", { flavorRef, "OS-DCF:diskConfig": diskConfig }, [
  "flavorRef",
])
const rotation = { type: ["integer", "string"], pattern: "^[0-9]+$", minLength: 1, minimum: 0 }
const backupType = { type: "string", maxLength: 255 }
export const createBackupSchema = bodyOf(
  "createBackup",
  { name, backup_type: backupType, rotation, metadata },
  ["name", "backup_type", "rotation"],
)
export const createImageSchema = bodyOf("createImage", { name, metadata }, ["name"])

/** What createServerSchemas admits. */
export interface CreateServerBody {
  server: {
    name: string
    imageRef?: string
    flavorRef: string | number
    adminPass?: string
    metadata?: Record<string, string>
    networks?: NetworkBody[] | "auto" | "none"
    "OS-DCF:diskConfig"?: "AUTO" | "MANUAL"
    accessIPv4?: string
    accessIPv6?: string
    personality?: unknown[]
    availability_zone?: string
    block_device_mapping?: BlockDeviceBody[]
    block_device_mapping_v2?: BlockDeviceBody[]
    config_drive?: boolean | string
    key_name?: string
    min_count?: number | string
    max_count?: number | string
    return_reservation_id?: boolean | string
    security_groups?: { name?: string }[]
    user_data?: string
    description?: string | null
    tags?: string[]
    trusted_image_certificates?: string[] | null
    host?: string
    hypervisor_hostname?: string
    hostname?: string
  }
  "os:scheduler_hints"?: Record<string, unknown>
  "OS-SCH-HNT:scheduler_hints"?: Record<string, unknown>
}

export interface NetworkBody {
  uuid?: string
  port?: string | null
  fixed_ip?: string
  tag?: string
}

export interface BlockDeviceBody {
  source_type?: string
  destination_type?: string
  uuid?: string
  image_id?: string
  volume_id?: string
  snapshot_id?: string
  volume_size?: number | string
  boot_index?: number | string | null
  guest_format?: string
}

export interface UpdateServerBody {
  server: {
    name?: string
    description?: string | null
    hostname?: string
    accessIPv4?: string
    accessIPv6?: string
    "OS-DCF:diskConfig"?: "AUTO" | "MANUAL"
  }
}

export interface RebuildServerBody {
  rebuild: {
    imageRef: string
    name?: string
    adminPass?: string
    metadata?: Record<string, string>
    preserve_ephemeral?: boolean | string
    "OS-DCF:diskConfig"?: "AUTO" | "MANUAL"
    accessIPv4?: string
    accessIPv6?: string
    personality?: unknown[]
    description?: string | null
    key_name?: string | null
    user_data?: string | null
    trusted_image_certificates?: string[] | null
    hostname?: string
  }
}
