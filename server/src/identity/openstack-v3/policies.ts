import { Type } from "typebox"
import type { Route, WireRequest } from "../../platform/http/wire.ts"
import { typed } from "../../platform/schema/make.ts"
import {
  createPolicy,
  deletePolicy,
  getEndpointPolicy,
  getPolicy,
  listPolicies,
  listPolicyEndpoints,
  policyAssociations,
  policyNoun,
  updatePolicy,
} from "../index.ts"
import { viewEndpoint } from "./endpoints.ts"
import { membershipRoutes } from "./membership.ts"
import { given } from "./read.ts"
import { blobAsText, resourceRoutes, viewOf } from "./resource.ts"
import { listRoute, thingRoute } from "./shown-routes.ts"

const viewPolicy = viewOf(policyNoun, ({ id }) => `policies/${id}`)

const crud = resourceRoutes({
  noun: policyNoun,
  singular: "policy",
  plural: "policies",
  view: viewPolicy,
  properties: {
    type: Type.String({ minLength: 1, maxLength: 255 }),
    blob: typed(["string", "object"]),
  },
  required: ["blob", "type"],
  translate: blobAsText,
  list: listPolicies,
  get: getPolicy,
  create: createPolicy,
  update: updatePolicy,
  remove: deletePolicy,
})

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

const associations = places.flatMap(({ path, kind }) =>
  membershipRoutes(`/policies/{policy_id}/OS-ENDPOINT-POLICY${path}`, policyAssociations[kind], association),
)

export const policyRoutes: readonly Route[] = [
  ...crud,
  ...associations,
  listRoute(
    "/policies/{policy_id}/OS-ENDPOINT-POLICY/endpoints",
    listPolicyEndpoints,
    (req) => ({ id: req.params.policy_id ?? "" }),
    ["endpoints", viewEndpoint],
  ),
  thingRoute(
    "/endpoints/{endpoint_id}/OS-ENDPOINT-POLICY/policy",
    getEndpointPolicy,
    (req) => ({ id: req.params.endpoint_id ?? "" }),
    ["policy", viewPolicy],
  ),
]
