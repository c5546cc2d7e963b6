import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import { type Fields, typed } from "../../platform/schema/make.ts"
import {
  createPolicy,
  deletePolicy,
  getEndpointPolicy,
  getPolicy,
  listPolicies,
  listPolicyEndpoints,
  type PolicyRow,
  policyAssociations,
  updatePolicy,
} from "../index.ts"
import { admitToOne } from "./admit.ts"
import { viewEndpoint } from "./endpoints.ts"
import { extraOf, given, readList, requireSameId } from "./read.ts"
import { member } from "./schema.ts"
import { linkTo, listReply, pageReply } from "./view.ts"

const properties = {
  type: Type.String({ minLength: 1, maxLength: 255 }),
  blob: typed(["string", "object"]),
}
const known = [...Object.keys(properties), "id", "links"]

function text(blob: Fields<typeof properties>["blob"]): string | undefined {
  return typeof blob === "object" ? JSON.stringify(blob) : blob
}

function viewPolicy(ctx: Ctx, req: WireRequest, row: PolicyRow): Record<string, unknown> {
  const links = linkTo(ctx, req, `policies/${row.id}`)
  return { ...row.extra, id: row.id, type: row.type, blob: row.blob, links }
}

const crud = [
  route({
    method: "GET",
    path: "/policies",
    operation: listPolicies,
    handler: async (ctx, req) =>
      pageReply(
        ctx,
        req,
        "policies",
        await listPolicies(ctx, readList(req.query, { type: "text" })),
        viewPolicy,
      ),
  }),
  route({
    method: "POST",
    path: "/policies",
    operation: createPolicy,
    body: member("policy", properties, { required: ["blob", "type"] }),
    handler: async (ctx, req) => {
      const { policy } = req.body
      const extra = extraOf(policy, known)
      const row = await createPolicy(ctx, { type: policy.type, blob: text(policy.blob) ?? "", extra })
      return { policy: viewPolicy(ctx, req, row) }
    },
  }),
  route({
    method: "GET",
    path: "/policies/{policy_id}",
    operation: getPolicy,
    handler: async (ctx, req) => ({
      policy: viewPolicy(ctx, req, await getPolicy(ctx, { id: req.params.policy_id ?? "" })),
    }),
  }),
  route({
    method: "PATCH",
    path: "/policies/{policy_id}",
    operation: updatePolicy,
    body: member("policy", properties, { minProperties: 1 }),
    admit: admitToOne(updatePolicy, "policy"),
    handler: async (ctx, req) => {
      const id = req.params.policy_id ?? ""
      const { policy } = req.body
      requireSameId(policy, id)
      const changes = given({ type: policy.type, blob: text(policy.blob), extra: extraOf(policy, known) })
      return { policy: viewPolicy(ctx, req, await updatePolicy(ctx, { id, ...changes })) }
    },
  }),
  route({
    method: "DELETE",
    path: "/policies/{policy_id}",
    operation: deletePolicy,
    handler: async (ctx, req) => {
      await deletePolicy(ctx, { id: req.params.policy_id ?? "" })
    },
  }),
]

const places = [
  { path: "/endpoints/{endpoint_id}", kind: "endpoint" },
  { path: "/services/{service_id}", kind: "service" },
  { path: "/services/{service_id}/regions/{region_id}", kind: "region_and_service" },
] as const

function association(req: WireRequest) {
  return given({
    policyId: req.params.policy_id ?? "",
    endpointId: req.params.endpoint_id,
    serviceId: req.params.service_id,
    regionId: req.params.region_id,
  })
}

const associations: readonly Route[] = places.flatMap(({ path, kind }) => {
  const full = `/policies/{policy_id}/OS-ENDPOINT-POLICY${path}`
  const { create, check, remove } = policyAssociations[kind]
  return [
    route({
      method: "PUT",
      path: full,
      operation: create,
      status: 204,
      handler: async (ctx, req) => {
        await create(ctx, association(req))
      },
    }),
    route({
      method: "GET",
      path: full,
      operation: check,
      status: 204,
      handler: async (ctx, req) => {
        await check(ctx, association(req))
      },
    }),
    route({
      method: "DELETE",
      path: full,
      operation: remove,
      handler: async (ctx, req) => {
        await remove(ctx, association(req))
      },
    }),
  ]
})

export const policyRoutes: readonly Route[] = [
  ...crud,
  ...associations,
  route({
    method: "GET",
    path: "/policies/{policy_id}/OS-ENDPOINT-POLICY/endpoints",
    operation: listPolicyEndpoints,
    handler: async (ctx, req) => {
      const rows = await listPolicyEndpoints(ctx, { id: req.params.policy_id ?? "" })
      return listReply(
        ctx,
        req,
        "endpoints",
        rows.map((row) => viewEndpoint(ctx, req, row)),
      )
    },
  }),
  route({
    method: "GET",
    path: "/endpoints/{endpoint_id}/OS-ENDPOINT-POLICY/policy",
    operation: getEndpointPolicy,
    handler: async (ctx, req) => ({
      policy: viewPolicy(ctx, req, await getEndpointPolicy(ctx, { id: req.params.endpoint_id ?? "" })),
    }),
  }),
]
