import { one as answerOf, texts } from "../../api/openstack/shape.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import { deleteTrait, ensureTrait, getTrait, listTraits } from "../index.ts"
import { checkCustom, nameOf } from "./custom-name.ts"
import { checkQuery, knownAt, one, toldQuery } from "./query.ts"
import { answer, traitPath } from "./reply.ts"

const parameters = [
  { name: "name", from: "1.6" },
  { name: "associated", from: "1.6", schema: { type: "boolean" } },
]

export const traitRoutes: Route[] = [
  route({
    method: "GET",
    path: "/traits",
    operation: listTraits,
    told: { ...toldQuery(parameters), ...answerOf("traits", texts) },
    min: "1.6",
    handler: async (ctx, req) => ({ traits: await listTraits(ctx, readTraitQuery(req)) }),
  }),
  route({
    method: "GET",
    path: "/traits/{name}",
    operation: getTrait,
    min: "1.6",
    status: 204,
    handler: async (ctx, req) => {
      await getTrait(ctx, { name: nameOf(req) })
      return answer(ctx, req, undefined)
    },
  }),
  route({
    method: "PUT",
    path: "/traits/{name}",
    operation: ensureTrait,
    min: "1.6",
    status: [201, 204],
    handler: async (ctx, req) => {
      const name = nameOf(req)
      checkCustom(name, "trait")
      const { isNew } = await ensureTrait(ctx, { name })
      return answer(ctx, req, undefined, {
        status: isNew ? 201 : 204,
        location: traitPath(req, name),
      })
    },
  }),
  route({
    method: "DELETE",
    path: "/traits/{name}",
    operation: deleteTrait,
    min: "1.6",
    handler: (ctx, req) => deleteTrait(ctx, { name: nameOf(req) }),
  }),
]

function readTraitQuery(req: WireRequest) {
  checkQuery(req, knownAt(req, parameters))
  const [name, associated] = [one(req, "name"), one(req, "associated")?.toLowerCase()]
  if (associated !== undefined && associated !== "true" && associated !== "false")
    throw invalid("associated", 'The query parameter "associated" only accepts "true" or "false"')
  const isAssociated = associated === undefined ? null : associated === "true"
  if (name === undefined) return { names: null, prefix: null, isAssociated }
  const colon = name.indexOf(":")
  const [op, value] = [name.slice(0, colon), name.slice(colon + 1)]
  if (colon < 0) {
    throw invalid(
      "name",
      "Badly formatted name parameter. Expected name query string parameter in form: " +
        `?name=[in|startswith]:[name1,name2|prefix]. Got: "${name}"`,
    )
  }
  return {
    names: op === "in" ? value.split(",") : null,
    prefix: op === "startswith" ? value : null,
    isAssociated,
  }
}
