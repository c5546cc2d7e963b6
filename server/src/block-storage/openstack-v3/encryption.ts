// How the volumes of a type are encrypted, and how a volume is.
import { Type } from "typebox"
import { countOrNull, flag, nothing, one, rare, shape, text, textOrNull } from "../../api/openstack/shape.ts"
import { type Table, view } from "../../api/openstack/view.ts"
import type { Ctx } from "../../platform/context/context.ts"
import type { BodyOf } from "../../platform/http/versions.ts"
import { type Route, reply, route, type WireRequest, withHeaders } from "../../platform/http/wire.ts"
import { mapOf, typed, word } from "../../platform/schema/make.ts"
import {
  controlLocations,
  createTypeEncryption,
  deleteTypeEncryption,
  getTypeEncryption,
  getVolumeEncryption,
  inputInvalid,
  metadataKeyNotFound,
  type TypeEncryption,
  typeEncryptionNotFound,
  updateTypeEncryption,
  type VolumeEncryption,
} from "../index.ts"
import { bodyOf } from "./parts.ts"

type Named = Pick<WireRequest, "params">
const typeIdOf = ({ params }: Named) => params.type_id ?? ""
const volumeIdOf = ({ params }: Named) => params.volume_id ?? ""

/** Where the path has the name of a member, or the id of an encryption: documents can have one word for both only. */
const lastOf = ({ params }: Named) => params.encryption_id ?? ""

/** A type has one at the most: Cinder's clients write `provider` and not its id. */
function encryptionIdOf(req: Named): string | null {
  const id = lastOf(req)
  return id === "provider" ? null : id
}

const specs: Table<TypeEncryption> = {
  volume_type_id: [text, "volumeTypeId"],
  encryption_id: [text, "id"],
  provider: [text, "provider"],
  control_location: [text, "controlLocation"],
  cipher: [textOrNull, "cipher"],
  key_size: [countOrNull, "keySize"],
}
const newEncryption = view<TypeEncryption>("NewTypeEncryption", specs)
const wholeEncryption: Table<TypeEncryption> = {
  ...specs,
  created_at: [text, "createdAt"],
  updated_at: [textOrNull, "updatedAt"],
  deleted_at: [nothing, () => null],
  deleted: [flag, () => false],
}
/** Of a type without one it has no members. */
const typeEncryption = view<TypeEncryption>(
  "TypeEncryption",
  Object.fromEntries(Object.entries(wholeEncryption).map(([name, [as, of]]) => [name, [rare(as), of]])),
)

async function showOfType(ctx: Ctx, req: WireRequest): Promise<Record<string, unknown>> {
  const encryption = await getTypeEncryption(ctx, { typeId: typeIdOf(req) })
  return encryption ? typeEncryption.show(ctx, req, encryption) : {}
}

const keySizeMost = 2 ** 31 - 1
const fields = {
  provider: Type.String({ minLength: 1, maxLength: 255 }),
  control_location: word(controlLocations),
  cipher: typed(["string", "null"], { maxLength: 255 }),
  key_size: typed(["integer", "string", "null"], { minimum: 0, maximum: keySizeMost, pattern: "^[0-9]+$" }),
}
const createBody = bodyOf("encryption", fields, ["provider"])
const updateBody = bodyOf("encryption", fields)

/** The schema knows numbers, and texts of digits. */
function readKeySize(value: number | string | null): number | null {
  if (value === null) return null
  const size = Number(value)
  if (size <= keySizeMost) return size
  throw inputInvalid(`key_size: '${value}' is more than ${keySizeMost}.`)
}

async function create(ctx: Ctx, req: WireRequest<BodyOf<typeof createBody>>) {
  const { provider, control_location, cipher = null, key_size = null } = req.body.encryption
  const made = await createTypeEncryption(ctx, {
    typeId: typeIdOf(req),
    provider,
    controlLocation: control_location ?? "front-end",
    cipher,
    keySize: readKeySize(key_size),
  })
  return { encryption: newEncryption.show(ctx, req, made) }
}

async function update(ctx: Ctx, req: WireRequest<BodyOf<typeof updateBody>>) {
  const { key_size, ...texts } = req.body.encryption
  const { provider, control_location: controlLocation, cipher } = texts
  const keySize = key_size === undefined ? undefined : readKeySize(key_size)
  await updateTypeEncryption(ctx, {
    typeId: typeIdOf(req),
    id: encryptionIdOf(req),
    changes: {
      ...(provider === undefined ? {} : { provider }),
      ...(controlLocation === undefined ? {} : { controlLocation }),
      ...(cipher === undefined ? {} : { cipher }),
      ...(keySize === undefined ? {} : { keySize }),
    },
  })
  return { encryption: { ...texts, ...(keySize === undefined ? {} : { key_size: keySize }) } }
}

const changed = shape("ChangedTypeEncryption", {
  provider: rare(text),
  control_location: rare(text),
  cipher: rare(textOrNull),
  key_size: rare(countOrNull),
})
const item = mapOf(typed(["string", "integer", "boolean", "null"]))

const volumeEncryption = shape("VolumeEncryption", {
  encryption_key_id: textOrNull,
  control_location: rare(text),
  cipher: rare(textOrNull),
  key_size: rare(countOrNull),
  provider: rare(text),
})

function showOfVolume(encryption: VolumeEncryption | null): Record<string, string | number | null> {
  if (!encryption) return { encryption_key_id: null }
  const { keyId, controlLocation, cipher, keySize, provider } = encryption
  return {
    encryption_key_id: keyId,
    control_location: controlLocation,
    cipher,
    key_size: keySize,
    provider,
  }
}

/** The value and nothing around it, which is no JSON, as in Cinder; of null it is empty. */
async function showItemOfVolume(ctx: Ctx, req: WireRequest) {
  const [id, key] = [volumeIdOf(req), req.params.key ?? ""]
  const shown = showOfVolume(await getVolumeEncryption(ctx, { id }))
  if (!Object.hasOwn(shown, key)) throw metadataKeyNotFound("The encryption of volume", id, key)
  return withHeaders(String(shown[key] ?? ""), { "content-type": "text/plain; charset=utf-8" })
}

const ofType = "/types/{type_id}/encryption"
const ofVolume = "/volumes/{volume_id}/encryption"

export const encryptionRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: ofType,
    operation: getTypeEncryption,
    told: { answer: typeEncryption.shows },
    handler: showOfType,
  }),
  route({
    method: "POST",
    path: ofType,
    status: 200,
    body: createBody,
    operation: createTypeEncryption,
    told: one("encryption", newEncryption.shows),
    handler: create,
  }),
  route({
    method: "GET",
    path: `${ofType}/{encryption_id}`,
    operation: getTypeEncryption,
    told: { answer: item },
    handler: async (ctx, req) => {
      const [key, shown] = [lastOf(req), await showOfType(ctx, req)]
      if (!Object.hasOwn(shown, key)) throw typeEncryptionNotFound(typeIdOf(req))
      return { [key]: shown[key] }
    },
  }),
  route({
    method: "PUT",
    path: `${ofType}/{encryption_id}`,
    body: updateBody,
    operation: updateTypeEncryption,
    told: one("encryption", changed),
    handler: update,
  }),
  route({
    method: "DELETE",
    path: `${ofType}/{encryption_id}`,
    status: 202,
    operation: deleteTypeEncryption,
    handler: async (ctx, req) => {
      await deleteTypeEncryption(ctx, { typeId: typeIdOf(req), id: encryptionIdOf(req) })
      return reply(202)
    },
  }),
  route({
    method: "GET",
    path: ofVolume,
    operation: getVolumeEncryption,
    told: { answer: volumeEncryption },
    handler: async (ctx, req) => showOfVolume(await getVolumeEncryption(ctx, { id: volumeIdOf(req) })),
  }),
  route({
    method: "GET",
    path: `${ofVolume}/{key}`,
    operation: getVolumeEncryption,
    handler: showItemOfVolume,
  }),
]
