// Group types and their specs.
import { Type } from "typebox"
import { one, page as pageOf, rare, textMap } from "../../api/openstack/shape.ts"
import { named, view } from "../../api/openstack/view.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { booleanWord, queryText } from "../../platform/http/query.ts"
import type { BodyOf } from "../../platform/http/versions.ts"
import { type Route, reply, route, type WireRequest } from "../../platform/http/wire.ts"
import { closed, dictionary, nullable, typed } from "../../platform/schema/make.ts"
import {
  addGroupSpecs,
  createGroupType,
  deleteGroupType,
  type GroupType,
  getDefaultGroupType,
  getGroupType,
  groupTypeNoun,
  inputInvalid,
  itemOf,
  listGroupSpecs,
  listGroupTypes,
  removeGroupSpec,
  setGroupSpec,
  showGroupSpec,
  shownGroupSpecs,
  updateGroupType,
} from "../index.ts"
import { bodyOf, bodyWith, boolean, nameOrNull, nextLink, readBoolean, readList, toldList } from "./parts.ts"

const { fields } = groupTypeNoun
const min = "3.11"
const idOf = ({ params }: Pick<WireRequest, "params">) => params.group_type_id ?? ""
const keyOf = ({ params }: Pick<WireRequest, "params">) => params.key ?? ""

const groupType = view<GroupType>("GroupType", {
  ...named(fields, ["id", "name", "description", "isPublic"]),
  group_specs: [rare(textMap), (type, ctx) => shownGroupSpecs(ctx, type)],
})

const specs = (options = {}) =>
  dictionary("^[a-zA-Z0-9-_:.]{1,255}$", Type.String({ maxLength: 255 }), options)

const createBody = bodyOf(
  "group_type",
  {
    name: Type.String({ minLength: 1, maxLength: 255, pattern: "\\S" }),
    description: nameOrNull,
    is_public: boolean,
    group_specs: nullable(specs()),
  },
  ["name"],
)

async function create(ctx: Ctx, req: WireRequest<BodyOf<typeof createBody>>) {
  const { group_type: body } = req.body
  const type = await createGroupType(ctx, {
    name: body.name.trim(),
    description: body.description ?? null,
    isPublic: readBoolean("is_public", body.is_public, true),
    groupSpecs: body.group_specs ?? {},
  })
  return { group_type: groupType.show(ctx, req, type) }
}

const updateBody = bodyWith(
  "group_type",
  closed({
    name: typed(["string", "null"], { maxLength: 255 }),
    description: nameOrNull,
    is_public: boolean,
  }),
)

async function update(ctx: Ctx, req: WireRequest<BodyOf<typeof updateBody>>) {
  const { name, description, is_public: isPublic } = req.body.group_type
  if (typeof name === "string" && name !== "" && name.trim() === "")
    throw inputInvalid("name: Group type name can not be empty.")
  // What is null is not said.
  if (![name, description, isPublic].some((value) => typeof value === "string" || typeof value === "boolean"))
    throw inputInvalid("Specify group type name, description or a combination thereof.")
  const type = await updateGroupType(ctx, {
    id: idOf(req),
    changes: {
      ...(name ? { name: name.trim() } : {}),
      ...(typeof description === "string" ? { description } : {}),
      ...(isPublic === undefined || isPublic === null
        ? {}
        : { isPublic: readBoolean("is_public", isPublic, true) }),
    },
  })
  return { group_type: groupType.show(ctx, req, type) }
}

const rules = { fields, isLenient: true } as const

/** Those that are public, unless an administrator asks for others; `is_public=None` is all. */
async function list(ctx: Ctx, req: WireRequest) {
  const { query } = readList(ctx, { ...req, query: { ...req.query, is_public: undefined } }, rules)
  const asked = queryText(req.query, "is_public")?.trim() ?? "true"
  const isAll = /^none$/i.test(asked)
  const isPublic = booleanWord(asked)
  if (!isAll && isPublic === undefined)
    throw inputInvalid(`Invalid is_public filter [${asked}]; use true, false or none.`)
  const filters = { ...query.filters, ...(isAll ? {} : { isPublic: [String(isPublic)] }) }
  const found = await listGroupTypes(ctx, { ...query, filters })
  return {
    group_types: found.items.map((type) => groupType.show(ctx, req, type)),
    ...nextLink(ctx, req, "group_type", found),
  }
}

const specsBody = bodyWith("group_specs", specs())
const oneSpec = specs({ minProperties: 1, maxProperties: 1 })
const one_ = "/group_types/{group_type_id}"

export const groupTypeRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/group_types",
    min,
    operation: listGroupTypes,
    told: { ...toldList(rules), ...pageOf("group_types", groupType.shows, "group_type") },
    handler: list,
  }),
  route({
    method: "POST",
    path: "/group_types",
    min,
    status: 202,
    body: createBody,
    operation: createGroupType,
    told: one("group_type", groupType.shows),
    handler: create,
  }),
  route({
    method: "GET",
    path: "/group_types/default",
    min,
    operation: getDefaultGroupType,
    told: one("group_type", groupType.shows),
    handler: async (ctx, req) => ({
      group_type: groupType.show(ctx, req, await getDefaultGroupType(ctx, {})),
    }),
  }),
  route({
    method: "GET",
    path: one_,
    min,
    operation: getGroupType,
    told: one("group_type", groupType.shows),
    handler: async (ctx, req) => ({
      group_type: groupType.show(ctx, req, await getGroupType(ctx, { id: idOf(req) })),
    }),
  }),
  route({
    method: "PUT",
    path: one_,
    min,
    body: updateBody,
    operation: updateGroupType,
    told: one("group_type", groupType.shows),
    handler: update,
  }),
  route({
    method: "DELETE",
    path: one_,
    min,
    status: 202,
    operation: deleteGroupType,
    handler: async (ctx, req) => await deleteGroupType(ctx, { id: idOf(req) }),
  }),
  route({
    method: "GET",
    path: `${one_}/group_specs`,
    min,
    operation: listGroupSpecs,
    told: one("group_specs", textMap),
    handler: async (ctx, req) => ({ group_specs: await listGroupSpecs(ctx, { id: idOf(req) }) }),
  }),
  route({
    method: "POST",
    path: `${one_}/group_specs`,
    min,
    status: 202,
    body: specsBody,
    operation: addGroupSpecs,
    told: one("group_specs", textMap),
    handler: async (ctx, req: WireRequest<BodyOf<typeof specsBody>>) => {
      const { group_specs: groupSpecs } = req.body
      await addGroupSpecs(ctx, { id: idOf(req), groupSpecs })
      return reply(202, { group_specs: groupSpecs })
    },
  }),
  route({
    method: "GET",
    path: `${one_}/group_specs/{key}`,
    min,
    operation: showGroupSpec,
    told: { answer: textMap },
    handler: async (ctx, req) => ({
      [keyOf(req)]: await showGroupSpec(ctx, { id: idOf(req), key: keyOf(req) }),
    }),
  }),
  route({
    method: "PUT",
    path: `${one_}/group_specs/{key}`,
    min,
    body: oneSpec,
    operation: setGroupSpec,
    told: { answer: textMap },
    handler: async (ctx, req: WireRequest<BodyOf<typeof oneSpec>>) => {
      const key = keyOf(req)
      const value = itemOf(req.body, key)
      if (value === undefined)
        throw inputInvalid("Request body and URI mismatch: the body is one item, with the key of the path.")
      await setGroupSpec(ctx, { id: idOf(req), key, value })
      return { [key]: value }
    },
  }),
  route({
    method: "DELETE",
    path: `${one_}/group_specs/{key}`,
    min,
    status: 202,
    operation: removeGroupSpec,
    handler: async (ctx, req) => await removeGroupSpec(ctx, { id: idOf(req), key: keyOf(req) }),
  }),
]
