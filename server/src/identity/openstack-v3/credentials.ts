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
import { blobAsText, resourceRoutes, viewAlso, viewOf } from "./resource.ts"
import { looseId, text, textOrNull } from "./schema.ts"
import { listOf, selfLink } from "./told.ts"
import { linkTo, listReply } from "./view.ts"

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

function viewEc2Key(ctx: Ctx, req: WireRequest, key: Ec2Key): Record<string, unknown> {
  return {
    user_id: key.userId,
    tenant_id: key.projectId,
    access: key.access,
    secret: key.secret,
    trust_id: key.trustId,
    links: linkTo(ctx, req, `users/${key.userId}/credentials/OS-EC2/${key.access}`),
  }
}

const ec2Key = Type.Object({
  ...{ user_id: text, tenant_id: text, access: text, secret: text, trust_id: textOrNull, links: selfLink },
})

function keyOf(req: WireRequest) {
  return { userId: req.params.user_id ?? "", access: req.params.credential_id ?? "" }
}

export const ec2CredentialRoutes = [
  route({
    method: "GET",
    path: "/users/{user_id}/credentials/OS-EC2",
    operation: listEc2Keys,
    told: listOf("credentials", ec2Key),
    handler: async (ctx, req) => {
      const keys = await listEc2Keys(ctx, { userId: req.params.user_id ?? "" })
      return listReply(ctx, req, "credentials", keys, viewEc2Key)
    },
  }),
  route({
    method: "POST",
    path: "/users/{user_id}/credentials/OS-EC2",
    operation: createEc2Key,
    told: one("credential", ec2Key),
    body: keyed("tenant_id", text),
    admit: (ctx, req) => createEc2Key.admit(ctx, { userId: req.params.user_id ?? "", projectId: "" }),
    handler: async (ctx, req) => {
      const key = await createEc2Key(ctx, { userId: req.params.user_id ?? "", projectId: req.body.tenant_id })
      return { credential: viewEc2Key(ctx, req, key) }
    },
  }),
  route({
    method: "GET",
    path: "/users/{user_id}/credentials/OS-EC2/{credential_id}",
    operation: getEc2Key,
    told: one("credential", ec2Key),
    handler: async (ctx, req) => ({ credential: viewEc2Key(ctx, req, await getEc2Key(ctx, keyOf(req))) }),
  }),
  route({
    method: "DELETE",
    path: "/users/{user_id}/credentials/OS-EC2/{credential_id}",
    operation: deleteEc2Key,
    handler: (ctx, req) => deleteEc2Key(ctx, keyOf(req)),
  }),
]
