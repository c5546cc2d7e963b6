import { Type } from "typebox"
import { one } from "../../api/openstack/shape.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { route, type WireRequest } from "../../platform/http/wire.ts"
import { keyed, typed } from "../../platform/schema/make.ts"
import {
  type Credential,
  createCredential,
  createEc2Key,
  credentialNoun,
  deleteCredential,
  deleteEc2Key,
  type Ec2Key,
  getCredential,
  getEc2Key,
  listCredentials,
  listEc2Keys,
  updateCredential,
} from "../index.ts"
import { blobAsText, resourceRoutes, type View, viewAlso, viewOf } from "./resource.ts"
import { looseId, text, textOrNull } from "./schema.ts"
import { listRoute, thingRoute } from "./shown-routes.ts"
import { selfLink } from "./told.ts"
import { linkTo } from "./view.ts"

const viewStored = viewOf(credentialNoun, ({ id }) => `credentials/${id}`)

const viewCredential = viewAlso(viewStored, "Credential", { blob: text }, ({ blob }: Credential) => ({
  blob,
}))

export const credentialRoutes = resourceRoutes({
  noun: credentialNoun,
  singular: "credential",
  view: viewCredential,
  properties: {
    user_id: looseId,
    project_id: textOrNull,
    type: Type.String({ minLength: 1, maxLength: 255 }),
    blob: typed(["string", "object"]),
  },
  required: ["type", "user_id", "blob"],
  translate: blobAsText,
  list: listCredentials,
  get: getCredential,
  create: createCredential,
  update: updateCredential,
  remove: deleteCredential,
})

const ec2Key = { user_id: text, tenant_id: text, access: text, secret: text, trust_id: textOrNull }
const viewEc2Key: View<Ec2Key> = Object.assign(
  (ctx: Ctx, req: WireRequest, { userId, projectId, access, secret, trustId }: Ec2Key) => ({
    ...{ user_id: userId, tenant_id: projectId, access, secret, trust_id: trustId },
    links: linkTo(ctx, req, `users/${userId}/credentials/OS-EC2/${access}`),
  }),
  { shows: Type.Object({ ...ec2Key, links: selfLink }) },
)

const keys = "/users/{user_id}/credentials/OS-EC2"
const user = (req: WireRequest) => ({ userId: req.params.user_id ?? "" })

function keyOf(req: WireRequest) {
  return { userId: req.params.user_id ?? "", access: req.params.credential_id ?? "" }
}

export const ec2CredentialRoutes = [
  listRoute(keys, listEc2Keys, user, ["credentials", viewEc2Key]),
  route({
    method: "POST",
    path: keys,
    operation: createEc2Key,
    told: one("credential", viewEc2Key.shows),
    body: keyed("tenant_id", text),
    admit: (ctx, req) => createEc2Key.admit(ctx, { userId: req.params.user_id ?? "", projectId: "" }),
    handler: async (ctx, req) => {
      const key = await createEc2Key(ctx, { userId: req.params.user_id ?? "", projectId: req.body.tenant_id })
      return { credential: viewEc2Key(ctx, req, key) }
    },
  }),
  thingRoute(`${keys}/{credential_id}`, getEc2Key, keyOf, ["credential", viewEc2Key]),
  route({
    method: "DELETE",
    path: `${keys}/{credential_id}`,
    operation: deleteEc2Key,
    handler: (ctx, req) => deleteEc2Key(ctx, keyOf(req)),
  }),
]
