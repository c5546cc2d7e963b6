// From what a client says to a token: each method proves who it is, the user's rules say whether that is enough,
// then the scope is found and the token made.
import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { methodNotSupported, refused } from "../faults.ts"
import type { KnownToken } from "../token/cache.ts"
import { issueToken } from "../token/issue.ts"
import { provePassword } from "./password-method.ts"
import type { LoginRequest, Proof, RequestedScope } from "./request.ts"
import { findScope } from "./scope.ts"
import { proveToken } from "./token-method.ts"

type Method = (ctx: Ctx, data: unknown, scope: RequestedScope) => Promise<Proof>

const methods: Readonly<Record<string, Method>> = {
  password: provePassword,
  token: proveToken,
}

export async function login(ctx: Ctx, request: LoginRequest): Promise<KnownToken> {
  const names = [...new Set(request.methods)]
  if (names.length === 0) throw invalid("auth.identity.methods", "Expecting to find a method in identity.")
  for (const name of names) {
    if (!Object.hasOwn(methods, name)) throw methodNotSupported(name)
    if (!Object.hasOwn(request.identity, name)) {
      throw invalid(`auth.identity.${name}`, `Expecting to find ${name} in identity.`)
    }
  }
  const proofs: Proof[] = []
  for (const name of names) {
    const prove = methods[name]
    if (prove) proofs.push(await prove(ctx, request.identity[name], request.scope))
  }
  const proof = merge(proofs)
  const done = [...new Set([...names, ...proofs.flatMap((p) => p.methods ?? [])])]
  const { scope, trust } = await findScope(ctx, request.scope, proof)
  return await issueToken(ctx, {
    userId: proof.userId,
    epoch: proof.epoch + (trust?.trustorEpoch ?? 0),
    methods: done,
    scope,
    expiresAtMsMost: earliest(proof.expiresAtMsMost, trust?.expiresAtMs),
    parentAuditId: proof.parentAuditId ?? null,
    trustId: trust?.id ?? null,
    applicationCredentialId: proof.applicationCredential?.id ?? null,
  })
}

/** All methods must speak of one user; the earliest end counts. */
function merge(proofs: readonly Proof[]): Proof {
  const [first, ...others] = proofs
  if (!first) throw refused("no method")
  let merged = first
  for (const other of others) {
    if (other.userId !== merged.userId) throw refused("the methods name different users")
    const end = earliest(merged.expiresAtMsMost, other.expiresAtMsMost)
    merged = { ...other, ...merged, ...(end === null ? {} : { expiresAtMsMost: end }) }
  }
  return merged
}

function earliest(...times: (number | null | undefined)[]): number | null {
  const given = times.filter((time) => time !== null && time !== undefined)
  return given.length > 0 ? Math.min(...given) : null
}
