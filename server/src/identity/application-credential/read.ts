import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { listThings } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { refuseTrustToken } from "../delegation.ts"
import { found, notFound } from "../faults.ts"
import { everyone, find } from "../read.ts"
import { type ApplicationCredential, applicationCredentialNoun } from "./application-credential.ts"

export const listApplicationCredentials = operation({
  name: "identity.application_credential.list",
  input: Type.Object({ userId: Type.String(), name: Type.Optional(Type.String()) }),
  rule: "identity:list_application_credentials",
  target: (_ctx, { userId }) => ({ user_id: userId }),
  run: async (ctx, { userId, name }) => {
    refuseTrustToken(ctx.caller)
    const filters = { userId: [userId], ...(name === undefined ? {} : { name: [name] }) }
    return await listThings(ctx.db, applicationCredentialNoun, everyone, { filters })
  },
})

export const one = Type.Object({ userId: Type.String(), id: Type.String() })

/** Of whomever: the rule decides about its owner and not about the user that the path names. */
export const loadOne = (ctx: Ctx, { id }: { id: string }) => find(ctx.db, applicationCredentialNoun, id)

export function ofUser(row: ApplicationCredential | null, { userId, id }: { userId: string; id: string }) {
  return found(row?.userId === userId ? row : null, "application credential", id)
}

export const getApplicationCredential = operation({
  name: "identity.application_credential.get",
  input: one,
  faults: [notFound],
  load: loadOne,
  rule: "identity:get_application_credential",
  target: (_ctx, { userId }, row) => ({ user_id: row?.userId ?? userId }),
  run: async (ctx, input, row) => {
    refuseTrustToken(ctx.caller)
    return ofUser(row, input)
  },
})
