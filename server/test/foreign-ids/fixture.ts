// What a service says so that the matrix can try its routes: how to make one of everything, and what its path
// parameters and body fields name.
import assert from "node:assert/strict"
import type { TestReply } from "../cloud.ts"
import type { ServerCloud } from "../server-cloud.ts"

/** A project with a user and one of everything; the other one tries what is the first one's. */
export interface Side {
  readonly name: "a" | "b"
  readonly domainId: string
  readonly projectId: string
  readonly userId: string
  /** Of a member and manager of the project. */
  readonly token: string
  /** Of a manager of the domain. */
  readonly domainToken: string
  /** Ids by kind. */
  readonly things: Map<string, string>
}

export interface World {
  readonly cloud: ServerCloud
  readonly admin: string
  /** Sends and demands success. */
  make(
    token: string,
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
    // biome-ignore lint/suspicious/noExplicitAny: fixtures look where they like and fail when it is not there
  ): Promise<any>
  send(token: string, method: string, path: string, body?: unknown): Promise<TestReply>
}

export type Named =
  /** A thing that belongs to somebody; what of his own the stranger would rightly put there, when that is another. */
  | { kind: string; own?: (side: Side, world: World) => string | Promise<string> }
  /** A word, or something that is nobody's. */
  | { word: string }

export const thing = (kind: string, own?: (side: Side, world: World) => string | Promise<string>): Named =>
  own ? { kind, own } : { kind }
export const word = (text: string): Named => ({ word: text })

export type Body = unknown | ((side: Side, world: World) => unknown)

export interface Allowed {
  /** Name of the probe: `PUT /images/{image_id}/members/{member_id}`. */
  probe: string
  /** The parameter, the field, or `shown` for what an answer may show. */
  where: string
  status?: number
  /** What may be seen, by kind, for `shown`. */
  why: string
}

export interface ServiceFixture {
  /** As `Api.service`. */
  service: string
  /** Makes one of everything for the side and notes the ids. Names begin with `secretName(side)`. */
  make(side: Side, world: World): Promise<void>
  /** By the parameter, or by path and parameter where the same word means several things. */
  params: Readonly<Record<string, Named>>
  /** By the field's last word, or by the probe and the whole field. */
  fields: Readonly<Record<string, Named>>
  /** Bodies for which the declared schema says too little, by probe, or by probe and field. */
  bodies: Readonly<Record<string, Body>>
  /** By probe: the header, and the kind whose id it has. */
  foreignHeaders?: Readonly<Record<string, Record<string, string>>>
  headers?: Readonly<Record<string, Record<string, string>>>
  /** More places of a body that name something: names and addresses. */
  moreFields?: Readonly<Record<string, readonly string[]>>
  /** Tables in which the stranger's own rows keep what he asked for. */
  ownRows?: readonly { table: string; why: string }[]
  /** Why it may tell what nobody has (404) from what is another's (403). */
  tellsUnknown?: string
  /** What is no hole, and why. The list may only shrink: an entry that nothing needs fails. */
  allowed: readonly Allowed[]
}

/** Of the side's user. */
export const passwordOf = (side: Pick<Side, "name">) => `a-password-of-${side.name}`

export const secretName = (side: Pick<Side, "name">) => `secret-of-${side.name}`

export function idOf(side: Side, kind: string): string {
  const id = side.things.get(kind)
  assert.ok(
    id !== undefined,
    `no ${kind} of side ${side.name}: make one in its service's fixture (test/foreign-ids)`,
  )
  return id
}
