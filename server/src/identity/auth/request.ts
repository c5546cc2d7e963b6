// What a client says to get a token, in Keystone's form, as the methods want it.

import type { SignedRequest } from "../oauth/signature.ts"

export interface Named {
  id?: string
  name?: string
}

export interface ProjectRef extends Named {
  domain?: Named
}

export interface UserRef extends Named {
  domain?: Named
}

export type RequestedScope =
  | { kind: "default" }
  | { kind: "unscoped" }
  | { kind: "system" }
  | { kind: "project"; project: ProjectRef }
  | { kind: "domain"; domain: Named }
  | { kind: "trust"; trustId: string }

export interface LoginRequest {
  methods: readonly string[]
  /** Payload of each method, by its name. */
  identity: Readonly<Record<string, unknown>>
  scope: RequestedScope
  /** From an earlier answer that wanted more methods. */
  receipt: string | null
  remoteAddress: string
  /** The HTTP request itself, for a method that signs it; null on a wire that has no such method. */
  signed: SignedRequest | null
}

/** What a method has proved. */
export interface Proof {
  userId: string
  epoch: number
  /** Of the user, by which the rules for several methods are known. */
  options: Readonly<Record<string, unknown>>
  defaultProjectId: string | null
  /** Methods that count as done beside the one itself (those of a token). */
  methods?: readonly string[]
  expiresAtMsMost?: number
  parentAuditId?: string
  applicationCredential?: { id: string; projectId: string }
  /** Of OAuth 1. */
  accessToken?: { id: string; projectId: string }
  /** Why the scope may not be chosen freely. */
  scopeLimit?: "not_from_system" | "none"
}
