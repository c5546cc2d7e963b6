import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { listThings } from "../../platform/noun/list.ts"
import { applicationCredentialNoun } from "../application-credential/application-credential.ts"
import { refused } from "../faults.ts"
import { everyone, find } from "../read.ts"
import { findLoginUser } from "./find-user.ts"
import { readUserRef } from "./password-method.ts"
import type { Proof, RequestedScope } from "./request.ts"

/** By id, or by name and user; the scope is the credential's own and not to be chosen. */
export async function proveApplicationCredential(
  ctx: Ctx,
  data: unknown,
  scope: RequestedScope,
): Promise<Proof> {
  if (scope.kind !== "default") throw refused("application credentials cannot request a scope")
  const { id, name, secret, user } = readData(data)
  const owner = user ? await findLoginUser(ctx.db, user) : null
  const credential =
    id === undefined
      ? await findOwn(ctx, owner?.id ?? "", name ?? "")
      : await find(ctx.db, applicationCredentialNoun, id)
  const isRight = await ctx.drivers.identity.hasher.verify(secret, credential?.secretHash ?? null)
  if (!credential || !isRight) throw refused("wrong application credential", credential?.userId)
  const end = credential.endsAt?.getTime()
  if (end !== undefined && end <= ctx.clock.now().getTime())
    throw refused("the application credential is expired", credential.userId)
  const holder = await findLoginUser(ctx.db, { id: credential.userId })
  if (!holder?.is_enabled || !holder.is_domain_enabled)
    throw refused("the user is disabled", credential.userId)
  return {
    userId: holder.id,
    epoch: holder.epoch,
    options: holder.options,
    defaultProjectId: null,
    ...(end === undefined ? {} : { expiresAtMsMost: end }),
    applicationCredential: { id: credential.id, projectId: credential.projectId },
  }
}

async function findOwn(ctx: Ctx, userId: string, name: string) {
  const filters = { userId: [userId], name: [name] }
  const [credential] = await listThings(ctx.db, applicationCredentialNoun, everyone, { filters })
  return credential ?? null
}

function readData(data: unknown) {
  if (typeof data !== "object" || data === null) {
    throw invalid(
      "auth.identity.application_credential",
      "Expecting to find an object in application_credential.",
    )
  }
  const secret = "secret" in data ? data.secret : undefined
  if (typeof secret !== "string") {
    throw invalid(
      "auth.identity.application_credential.secret",
      "Expecting to find secret in application_credential.",
    )
  }
  const id = "id" in data ? data.id : undefined
  if (typeof id === "string") return { id, name: undefined, secret, user: undefined }
  const name = "name" in data ? data.name : undefined
  const user = "user" in data ? data.user : undefined
  if (typeof name !== "string" || typeof user !== "object" || user === null) {
    throw invalid(
      "auth.identity.application_credential",
      "Expecting to find id, or name and user, in application_credential.",
    )
  }
  return { id: undefined, name, secret, user: readUserRef(user, "application_credential") }
}
