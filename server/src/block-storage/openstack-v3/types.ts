// Volume types, their extra specs, who may use them, and the default types of projects.
import { Type } from "typebox"
import {
  all,
  flag,
  one,
  page as pageOf,
  rare,
  shape,
  text,
  textMap,
  textOrNull,
} from "../../api/openstack/shape.ts"
import { named, type Table, view } from "../../api/openstack/view.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { booleanWord, queryText } from "../../platform/http/query.ts"
import type { BodyOf } from "../../platform/http/versions.ts"
import { type Route, reply, route, type WireRequest } from "../../platform/http/wire.ts"
import { can } from "../../platform/policy/can.ts"
import { closed, typed } from "../../platform/schema/make.ts"
import {
  addExtraSpecs,
  addTypeAccess,
  createVolumeType,
  deleteVolumeType,
  getDefaultType,
  getDefaultVolumeType,
  getVolumeType,
  inputInvalid,
  itemOf,
  listDefaultTypes,
  listExtraSpecs,
  listTypeAccess,
  listVolumeTypes,
  removeExtraSpec,
  removeTypeAccess,
  setDefaultType,
  showExtraSpec,
  shownExtraSpecs,
  unsetDefaultType,
  updateExtraSpec,
  updateVolumeType,
  type VolumeType,
  volumeTypeNoun,
} from "../index.ts"
import { bodyOf, bodyWith, boolean, nameOrNull, nextLink, readBoolean, readList, toldList } from "./parts.ts"

const { fields } = volumeTypeNoun
const idOf = ({ params }: Pick<WireRequest, "params">) => params.type_id ?? ""
const keyOf = ({ params }: Pick<WireRequest, "params">) => params.key ?? ""

const changed: Table<VolumeType> = {
  ...named(fields, ["id", "name", "description", "isPublic"]),
  extra_specs: [textMap, (type, ctx) => shownExtraSpecs(ctx, type)],
}
const volumeType = view<VolumeType>("VolumeType", {
  ...changed,
  "os-volume-type-access:is_public": [flag, "isPublic"],
  qos_specs_id: [
    rare(textOrNull),
    ({ qosSpecsId }, ctx) =>
      can(ctx, "volume_extension:access_types_qos_specs_id") ? qosSpecsId : undefined,
  ],
})
/** What creations and changes answer has no more than this. */
const newType = view<VolumeType>("NewVolumeType", {
  ...changed,
  "os-volume-type-access:is_public": [flag, "isPublic"],
})
const changedType = view<VolumeType>("ChangedVolumeType", changed)

const typeName = typed(["string", "null"], { minLength: 1, maxLength: 255, pattern: "\\S" })

const createBody = bodyOf(
  "volume_type",
  {
    name: Type.String({ minLength: 1, maxLength: 255, pattern: "\\S" }),
    description: nameOrNull,
    "os-volume-type-access:is_public": boolean,
    extra_specs: typed(["object", "null"], { additionalProperties: { type: "string", maxLength: 255 } }),
  },
  ["name"],
)

async function create(ctx: Ctx, req: WireRequest<BodyOf<typeof createBody>>) {
  const { volume_type: body } = req.body
  const type = await createVolumeType(ctx, {
    name: body.name.trim(),
    description: body.description ?? null,
    isPublic: readBoolean("os-volume-type-access:is_public", body["os-volume-type-access:is_public"], true),
    extraSpecs: (body.extra_specs ?? {}) as Record<string, string>,
  })
  return { volume_type: newType.show(ctx, req, type) }
}

const updateBody = bodyWith(
  "volume_type",
  closed({ name: typeName, description: nameOrNull, is_public: boolean }, [], { minProperties: 1 }),
)

async function update(ctx: Ctx, req: WireRequest<BodyOf<typeof updateBody>>) {
  const { name, description, is_public: isPublic } = req.body.volume_type
  const type = await updateVolumeType(ctx, {
    id: idOf(req),
    changes: {
      ...(typeof name === "string" ? { name: name.trim() } : {}),
      ...(description === undefined ? {} : { description }),
      ...(isPublic === undefined ? {} : { isPublic: readBoolean("is_public", isPublic, true) }),
    },
  })
  return { volume_type: changedType.show(ctx, req, type) }
}

const rules = { fields, isLenient: true } as const

/** `is_public=None` is all that the caller sees, which is the default of those who are no administrators. */
async function list(ctx: Ctx, req: WireRequest) {
  const { query } = readList(ctx, { ...req, query: { ...req.query, is_public: undefined } }, rules)
  const asked = queryText(req.query, "is_public")
  const isPublic = asked === undefined || /^none$/i.test(asked) ? undefined : booleanWord(asked.trim())
  if (asked !== undefined && isPublic === undefined && !/^none$/i.test(asked))
    throw inputInvalid(`Invalid is_public filter [${asked}]; use true, false or none.`)
  const filters = { ...query.filters, ...(isPublic === undefined ? {} : { isPublic: [String(isPublic)] }) }
  const found = await listVolumeTypes(ctx, { ...query, filters })
  return {
    volume_types: found.items.map((type) => volumeType.show(ctx, req, type)),
    ...nextLink(ctx, req, "volume_types", found),
  }
}

const accessBody = Type.Union([
  bodyOf("addProjectAccess", { project: Type.String({ minLength: 1, maxLength: 255 }) }, ["project"]),
  bodyOf("removeProjectAccess", { project: Type.String({ minLength: 1, maxLength: 255 }) }, ["project"]),
])
const access = shape("VolumeTypeAccess", { volume_type_id: text, project_id: text })

const specsBody = bodyWith(
  "extra_specs",
  typed(["object"], { minProperties: 1, additionalProperties: { type: "string", maxLength: 255 } }),
)
const oneSpec = Type.Unsafe<Record<string, string>>({
  type: "object",
  additionalProperties: { type: "string", maxLength: 255 },
  minProperties: 1,
  maxProperties: 1,
})

const defaultShape = shape("DefaultVolumeType", { project_id: text, volume_type_id: text })
const viewDefault = ({ projectId, volumeTypeId }: { projectId: string; volumeTypeId: string }) => ({
  project_id: projectId,
  volume_type_id: volumeTypeId,
})

export const typeRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/types",
    operation: listVolumeTypes,
    told: { ...toldList(rules), ...pageOf("volume_types", volumeType.shows) },
    handler: list,
  }),
  route({
    method: "POST",
    path: "/types",
    status: 200,
    body: createBody,
    operation: createVolumeType,
    told: one("volume_type", newType.shows),
    handler: create,
  }),
  route({
    method: "GET",
    path: "/types/default",
    operation: getDefaultVolumeType,
    told: one("volume_type", volumeType.shows),
    handler: async (ctx, req) => ({
      volume_type: volumeType.show(ctx, req, await getDefaultVolumeType(ctx, {})),
    }),
  }),
  route({
    method: "GET",
    path: "/types/{type_id}",
    operation: getVolumeType,
    told: one("volume_type", volumeType.shows),
    handler: async (ctx, req) => ({
      volume_type: volumeType.show(ctx, req, await getVolumeType(ctx, { id: idOf(req) })),
    }),
  }),
  route({
    method: "PUT",
    path: "/types/{type_id}",
    body: updateBody,
    operation: updateVolumeType,
    told: one("volume_type", changedType.shows),
    handler: update,
  }),
  route({
    method: "DELETE",
    path: "/types/{type_id}",
    status: 202,
    operation: deleteVolumeType,
    handler: async (ctx, req) => await deleteVolumeType(ctx, { id: idOf(req) }),
  }),
  route({
    method: "POST",
    path: "/types/{type_id}/action",
    status: 202,
    body: accessBody,
    actions: { addProjectAccess: addTypeAccess, removeProjectAccess: removeTypeAccess },
    handler: async (ctx, req) => {
      const [id, { body }] = [idOf(req), req]
      if ("addProjectAccess" in body)
        await addTypeAccess(ctx, { id, projectId: body.addProjectAccess.project })
      else await removeTypeAccess(ctx, { id, projectId: body.removeProjectAccess.project })
      return reply(202)
    },
  }),
  route({
    method: "GET",
    path: "/types/{type_id}/os-volume-type-access",
    operation: listTypeAccess,
    told: all("volume_type_access", access),
    handler: async (ctx, req) => ({
      volume_type_access: (await listTypeAccess(ctx, { id: idOf(req) })).map((project_id) => ({
        volume_type_id: idOf(req),
        project_id,
      })),
    }),
  }),
  route({
    method: "GET",
    path: "/types/{type_id}/extra_specs",
    operation: listExtraSpecs,
    told: one("extra_specs", textMap),
    handler: async (ctx, req) => ({ extra_specs: await listExtraSpecs(ctx, { id: idOf(req) }) }),
  }),
  route({
    method: "POST",
    path: "/types/{type_id}/extra_specs",
    status: 200,
    body: specsBody,
    operation: addExtraSpecs,
    told: one("extra_specs", textMap),
    handler: async (ctx, req) => {
      // The schema admits texts only.
      const extraSpecs = req.body.extra_specs as Record<string, string>
      await addExtraSpecs(ctx, { id: idOf(req), extraSpecs })
      return { extra_specs: extraSpecs }
    },
  }),
  route({
    method: "GET",
    path: "/types/{type_id}/extra_specs/{key}",
    operation: showExtraSpec,
    told: { answer: textMap },
    handler: async (ctx, req) => ({
      [keyOf(req)]: await showExtraSpec(ctx, { id: idOf(req), key: keyOf(req) }),
    }),
  }),
  route({
    method: "PUT",
    path: "/types/{type_id}/extra_specs/{key}",
    body: oneSpec,
    operation: updateExtraSpec,
    told: { answer: textMap },
    handler: async (ctx, req) => {
      const [key, { body }] = [keyOf(req), req]
      const value = itemOf(body, key)
      if (value === undefined)
        throw inputInvalid("Request body and URI mismatch: the body is one item, with the key of the path.")
      await updateExtraSpec(ctx, { id: idOf(req), key, value })
      return { [key]: value }
    },
  }),
  route({
    method: "DELETE",
    path: "/types/{type_id}/extra_specs/{key}",
    status: 202,
    operation: removeExtraSpec,
    handler: async (ctx, req) => await removeExtraSpec(ctx, { id: idOf(req), key: keyOf(req) }),
  }),
  route({
    method: "GET",
    path: "/default-types",
    min: "3.62",
    operation: listDefaultTypes,
    told: all("default_types", defaultShape),
    handler: async (ctx) => ({ default_types: (await listDefaultTypes(ctx, {})).map(viewDefault) }),
  }),
  route({
    method: "GET",
    path: "/default-types/{project_id}",
    min: "3.62",
    operation: getDefaultType,
    told: one("default_type", defaultShape),
    handler: async (ctx, req) => ({
      default_type: viewDefault(await getDefaultType(ctx, { projectId: req.params.project_id ?? "" })),
    }),
  }),
  route({
    method: "PUT",
    path: "/default-types/{project_id}",
    min: "3.62",
    body: bodyOf("default_type", { volume_type: Type.String({ minLength: 1, maxLength: 255 }) }, [
      "volume_type",
    ]),
    operation: setDefaultType,
    told: one("default_type", defaultShape),
    handler: async (ctx, req) => {
      const { volume_type: wanted } = req.body.default_type
      const set = await setDefaultType(ctx, { projectId: req.params.project_id ?? "", volumeType: wanted })
      return { default_type: viewDefault(set) }
    },
  }),
  route({
    method: "DELETE",
    path: "/default-types/{project_id}",
    min: "3.62",
    status: 204,
    operation: unsetDefaultType,
    handler: async (ctx, req) => await unsetDefaultType(ctx, { projectId: req.params.project_id ?? "" }),
  }),
]
