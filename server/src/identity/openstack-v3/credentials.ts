import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { route, type WireRequest } from "../../platform/http/wire.ts"
import { type Fields, keyed, typed } from "../../platform/schema/make.ts"
import {
  type Credential,
  createCredential,
  createEc2Key,
  deleteCredential,
  deleteEc2Key,
  type Ec2Key,
  getCredential,
  getEc2Key,
  listCredentials,
  listEc2Keys,
  updateCredential,
} from "../index.ts"
import { admitToOne } from "./admit.ts"
import { extraOf, given, readOldList, requireSameId } from "./read.ts"
import { looseId, member, text, textOrNull } from "./schema.ts"
import { linkTo, listReply, pageReply } from "./view.ts"

const properties = {
  user_id: looseId,
  project_id: textOrNull,
  type: Type.String({ minLength: 1, maxLength: 255 }),
  blob: typed(["string", "object"]),
}
const known = [...Object.keys(properties), "id", "links"]

/** Some clients send the JSON of an EC2 credential as an object. */
function blobText(blob: Fields<typeof properties>["blob"]): string | undefined {
  return typeof blob === "object" ? JSON.stringify(blob) : blob
}

function viewCredential(ctx: Ctx, req: WireRequest, row: Credential): Record<string, unknown> {
  return {
    ...row.extra,
    id: row.id,
    user_id: row.user_id,
    project_id: row.project_id,
    type: row.type,
    blob: row.blob,
    links: linkTo(ctx, req, `credentials/${row.id}`),
  }
}

export const credentialRoutes = [
  route({
    method: "GET",
    path: "/credentials",
    operation: listCredentials,
    handler: async (ctx, req) => {
      const list = await listCredentials(ctx, readOldList(req.query, { user_id: "text", type: "text" }))
      return pageReply(ctx, req, "credentials", list, viewCredential)
    },
  }),
  route({
    method: "POST",
    path: "/credentials",
    operation: createCredential,
    body: member("credential", properties, { required: ["type", "user_id", "blob"] }),
    handler: async (ctx, req) => {
      const { credential } = req.body
      const row = await createCredential(ctx, {
        userId: credential.user_id,
        type: credential.type,
        blob: blobText(credential.blob) ?? "",
        ...given({ projectId: credential.project_id, extra: extraOf(credential, known) }),
      })
      return { credential: viewCredential(ctx, req, row) }
    },
  }),
  route({
    method: "GET",
    path: "/credentials/{credential_id}",
    operation: getCredential,
    handler: async (ctx, req) => ({
      credential: viewCredential(ctx, req, await getCredential(ctx, { id: req.params.credential_id ?? "" })),
    }),
  }),
  route({
    method: "PATCH",
    path: "/credentials/{credential_id}",
    operation: updateCredential,
    body: member("credential", properties, { minProperties: 1 }),
    admit: admitToOne(updateCredential, "credential"),
    handler: async (ctx, req) => {
      const id = req.params.credential_id ?? ""
      const { credential } = req.body
      requireSameId(credential, id)
      const changes = given({
        userId: credential.user_id,
        type: credential.type,
        blob: blobText(credential.blob),
        projectId: credential.project_id,
        extra: extraOf(credential, known),
      })
      return { credential: viewCredential(ctx, req, await updateCredential(ctx, { id, ...changes })) }
    },
  }),
  route({
    method: "DELETE",
    path: "/credentials/{credential_id}",
    operation: deleteCredential,
    handler: async (ctx, req) => {
      await deleteCredential(ctx, { id: req.params.credential_id ?? "" })
    },
  }),
]

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

function keyOf(req: WireRequest) {
  return { userId: req.params.user_id ?? "", access: req.params.credential_id ?? "" }
}

export const ec2CredentialRoutes = [
  route({
    method: "GET",
    path: "/users/{user_id}/credentials/OS-EC2",
    operation: listEc2Keys,
    handler: async (ctx, req) => {
      const keys = await listEc2Keys(ctx, { userId: req.params.user_id ?? "" })
      return listReply(
        ctx,
        req,
        "credentials",
        keys.map((key) => viewEc2Key(ctx, req, key)),
      )
    },
  }),
  route({
    method: "POST",
    path: "/users/{user_id}/credentials/OS-EC2",
    operation: createEc2Key,
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
    handler: async (ctx, req) => ({ credential: viewEc2Key(ctx, req, await getEc2Key(ctx, keyOf(req))) }),
  }),
  route({
    method: "DELETE",
    path: "/users/{user_id}/credentials/OS-EC2/{credential_id}",
    operation: deleteEc2Key,
    handler: async (ctx, req) => {
      await deleteEc2Key(ctx, keyOf(req))
    },
  }),
]
