import { Fault, type FaultDefinition, fault, invalid } from "../platform/fault/fault.ts"

/** One sentence for every reason, so that a stranger learns nothing from it. */
export const unauthenticated = fault(
  "unauthenticated",
  "identity.unauthenticated",
  () => "The request you have made requires authentication.",
)

/** The same to the client; the reason goes to the log and the audit record. `userId`: whom it concerns, when known. */
export function refused(why: string, userId?: string): Fault {
  const made = unauthenticated()
  return new Fault(made.kind, made.code, made.message, { internal: { why, ...(userId ? { userId } : {}) } })
}

export const throttled = fault(
  "rate_limited",
  "identity.login.throttled",
  () => "Too many failed logins; try again later.",
)

/** `waitMs`: until the address may try again. */
export function tooManyFailures(waitMs: number, internal: unknown): Fault {
  const { kind, code, message } = throttled()
  return new Fault(kind, code, message, { retryAfterMs: Math.max(1_000, waitMs), internal })
}

export const methodNotSupported = fault(
  "unauthenticated",
  "identity.auth.method_not_supported",
  (method: string) => `Attempted to authenticate with an unsupported method: ${method}.`,
)

export const passwordExpired = fault(
  "unauthenticated",
  "identity.password.expired",
  (userId: string) => `The password is expired and needs to be changed for user: ${userId}.`,
)

/** More methods are wanted; the receipt stands for those that are done. */
export const moreMethodsWanted = fault(
  "unauthenticated",
  "identity.auth.more_methods_wanted",
  (_receipt: ReceiptFacts) => "Additional authentications steps required.",
  (receipt) => ({ receipt }),
)

export interface ReceiptFacts {
  id: string
  body: Record<string, unknown>
}

export const notFound = fault(
  "not_found",
  "identity.not_found",
  (what: string, id: string) => `Could not find ${what}: ${id}.`,
)

/** What a noun says of ids and of markers that name nothing. */
export function missingOf(what: string) {
  const { kind, code, is } = notFound
  const one: FaultDefinition<[id: string]> = Object.assign((id: string) => notFound(what, id), {
    kind,
    code,
    is,
  })
  return { notFound: one, markerNotFound: unknownMarker }
}

/** Who may not see it in the list does not learn from a marker that it is there. */
export function unknownMarker(marker: string) {
  return invalid("marker", `The marker ${JSON.stringify(marker)} is not in the list.`)
}

export const conflict = fault(
  "conflict",
  "identity.conflict",
  (what: string, details: string) => `Conflict occurred attempting to store ${what} - ${details}.`,
)

/** A rule of identity itself and not of policy. */
export const forbiddenAction = fault(
  "forbidden",
  "identity.forbidden_action",
  (action: string) => `You are not authorized to perform the requested action: ${action}.`,
)

export const forbidden = fault("forbidden", "identity.forbidden", (message: string) => message)

export function found<T>(row: T | null | undefined, what: string, id: string): T {
  if (row === null || row === undefined) throw notFound(what, id)
  return row
}

export function projectNameTaken(name: string | undefined): Fault {
  const rule =
    "it is not permitted to have two projects with either the same name or same id in the same domain"
  return conflict("project", `${rule}: name is ${name}`)
}

export function domainNameTaken(name: string | undefined): Fault {
  return conflict(
    "project",
    `it is not permitted to have two projects acting as domains with the same name: ${name}`,
  )
}

export const keySecretMissing = fault(
  "precondition",
  "identity.keys.secret_missing",
  (path: string) =>
    `The keys of this cloud are in its database, sealed with a secret that is not in ${path}. Copy that file from another host of the cloud, or from a backup.`,
)

export const keysSealedOtherwise = fault(
  "precondition",
  "identity.keys.secret_wrong",
  (path: string) =>
    `The keys of this cloud are in its database, sealed with another secret than the one in ${path}. Copy that file from another host of the cloud, or from a backup.`,
)

export const keyStagedTooShortly = fault(
  "conflict",
  "identity.keys.staged_too_shortly",
  (waitMs: number) =>
    `The next credential key was made a moment ago and may not have reached every process; try again in ${Math.ceil(waitMs / 1000)} s.`,
)

export const tooManyKeys = fault(
  "conflict",
  "identity.keys.too_many",
  (ring: string, most: number) =>
    `The key ring ${ring} has ${most} keys that valid messages may need; a key goes when the last of its messages has expired.`,
)
