// QoS specs, and which volume types have them.
import { Type } from "typebox"
import { all, links, page as pageOf, shape, text, textMap } from "../../api/openstack/shape.ts"
import { named, view } from "../../api/openstack/view.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { queryBoolean, queryText } from "../../platform/http/query.ts"
import type { BodyOf } from "../../platform/http/versions.ts"
import { type Route, reply, route, type WireRequest } from "../../platform/http/wire.ts"
import { querySchema } from "../../platform/noun/query-schema.ts"
import { closed } from "../../platform/schema/make.ts"
import {
  associateQosSpecs,
  createQosSpecs,
  deleteQosSpecs,
  disassociateAllQosSpecs,
  disassociateQosSpecs,
  getQosSpecs,
  listQosAssociations,
  listQosSpecs,
  type QosSpecs,
  qosSpecsNoun,
  removeQosKeys,
  setQosSpecs,
} from "../index.ts"
import { bodyWith, linksOf, nextLink, readList, toldList } from "./parts.ts"

const { fields } = qosSpecsNoun
const rules = { fields, isLenient: true } as const
const idOf = ({ params }: Pick<WireRequest, "params">) => params.qos_id ?? ""

const shown = view<QosSpecs>("QosSpecs", named(fields, ["id", "name", "consumer", "specs"]))
const one = { answer: shape("QosSpecsWithLinks", { qos_specs: shown.shows, links }) }

const showOne = (ctx: Ctx, req: WireRequest, specs: QosSpecs) => ({
  qos_specs: shown.show(ctx, req, specs),
  links: linksOf(ctx, `qos-specs/${specs.id}`),
})

const value = { type: "string", maxLength: 255 } as const

const createBody = bodyWith(
  "qos_specs",
  Type.Unsafe<{ name: string; consumer?: string } & Record<string, string>>({
    type: "object",
    properties: {
      name: { type: "string", minLength: 1, maxLength: 255, pattern: "\\S" },
      consumer: value,
    },
    required: ["name"],
    additionalProperties: value,
    maxProperties: 130,
  }),
)

async function create(ctx: Ctx, req: WireRequest<BodyOf<typeof createBody>>) {
  const { name, consumer = "back-end", ...specs } = req.body.qos_specs
  return showOne(ctx, req, await createQosSpecs(ctx, { name: name.trim(), consumer, specs }))
}

const setBody = bodyWith(
  "qos_specs",
  Type.Unsafe<Record<string, string>>({ type: "object", additionalProperties: value, maxProperties: 130 }),
)

const keysBody = closed(
  { keys: Type.Array(Type.String({ minLength: 1, maxLength: 255 }), { uniqueItems: true, maxItems: 130 }) },
  ["keys"],
)

const association = shape("QosAssociation", { association_type: text, id: text, name: text })

const typeOf = (req: WireRequest) => queryText(req.query, "vol_type_id") ?? ""
const toldType = { query: querySchema({ vol_type_id: { type: "string", format: "uuid" } }) }

const path = "/qos-specs/{qos_id}"

export const qosRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/qos-specs",
    operation: listQosSpecs,
    told: { ...toldList(rules), ...pageOf("qos_specs", shown.shows) },
    handler: async (ctx, req) => {
      const { query, offset } = readList(ctx, req, rules)
      const found = await listQosSpecs(ctx, { query, offset })
      return {
        qos_specs: found.items.map((each) => shown.show(ctx, req, each)),
        ...nextLink(ctx, req, "qos_specs", found),
      }
    },
  }),
  route({
    method: "POST",
    path: "/qos-specs",
    status: 200,
    body: createBody,
    operation: createQosSpecs,
    told: one,
    handler: create,
  }),
  route({
    method: "GET",
    path,
    operation: getQosSpecs,
    told: one,
    handler: async (ctx, req) => showOne(ctx, req, await getQosSpecs(ctx, { id: idOf(req) })),
  }),
  route({
    method: "PUT",
    path,
    body: setBody,
    operation: setQosSpecs,
    told: { answer: shape("QosKeys", { qos_specs: textMap }) },
    handler: async (ctx, req) => {
      const { consumer, ...specs } = req.body.qos_specs
      await setQosSpecs(ctx, { id: idOf(req), specs, ...(consumer === undefined ? {} : { consumer }) })
      return req.body
    },
  }),
  route({
    method: "DELETE",
    path,
    status: 202,
    operation: deleteQosSpecs,
    told: { query: querySchema({ force: { type: "boolean" } }) },
    handler: async (ctx, req) => {
      await deleteQosSpecs(ctx, { id: idOf(req), isForced: queryBoolean(req.query, "force") ?? false })
      return reply(202)
    },
  }),
  route({
    method: "PUT",
    path: `${path}/delete_keys`,
    status: 202,
    body: keysBody,
    operation: removeQosKeys,
    handler: async (ctx, req) => {
      await removeQosKeys(ctx, { id: idOf(req), keys: req.body.keys })
      return reply(202)
    },
  }),
  route({
    method: "GET",
    path: `${path}/associations`,
    operation: listQosAssociations,
    told: all("qos_associations", association),
    handler: async (ctx, req) => ({
      qos_associations: (await listQosAssociations(ctx, { id: idOf(req) })).map(({ id, name }) => ({
        association_type: "volume_type",
        id,
        name,
      })),
    }),
  }),
  // Cinder changes by these three GETs, and its clients send them.
  route({
    method: "GET",
    path: `${path}/associate`,
    status: 202,
    operation: associateQosSpecs,
    told: toldType,
    handler: async (ctx, req) => {
      await associateQosSpecs(ctx, { id: idOf(req), typeId: typeOf(req) })
      return reply(202)
    },
  }),
  route({
    method: "GET",
    path: `${path}/disassociate`,
    status: 202,
    operation: disassociateQosSpecs,
    told: toldType,
    handler: async (ctx, req) => {
      await disassociateQosSpecs(ctx, { id: idOf(req), typeId: typeOf(req) })
      return reply(202)
    },
  }),
  route({
    method: "GET",
    path: `${path}/disassociate_all`,
    status: 202,
    operation: disassociateAllQosSpecs,
    handler: async (ctx, req) => {
      await disassociateAllQosSpecs(ctx, { id: idOf(req) })
      return reply(202)
    },
  }),
]
