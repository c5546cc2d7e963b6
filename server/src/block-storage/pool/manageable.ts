// Data that lie beside the volumes of a back end: operators make volumes and snapshots of them, and leave such data
// when they take a volume or a snapshot out of the cloud.
import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"
import { findThing } from "../../platform/noun/list.ts"
import { callAgent } from "../agent-call.ts"
import { hostUnavailable, inputInvalid } from "../faults.ts"
import { gib, type Place } from "./place.ts"
import { isPoolUp, type Pool, poolNoun } from "./pool.ts"

export type ManageableKind = "volume" | "snapshot"

/** As Cinder names what it makes: what is left is found by its old id. */
const prefixes = { volume: "volume-", snapshot: "_snapshot-" } as const

export const unmanagedName = (kind: ManageableKind, id: string) => `${prefixes[kind]}${id}`

export interface ManageableData {
  name: string
  /** As a volume: in whole GiB. */
  sizeGib: number
  /** Null: nothing is against it. */
  problem: string | null
}

/** `host@backend#pool`; throws when it is not there, or takes nothing new. */
export async function usablePool(ctx: Ctx, db: DbOrTx, named: string): Promise<Pool> {
  const pool = await findThing(db, poolNoun, undefined as never, named.replace(/#.*$/, ""))
  if (!pool) throw hostUnavailable(`Host '${named}' not found`)
  if (pool.isDisabled) throw hostUnavailable(`Host '${named}' is disabled.`)
  if (!isPoolUp(pool, ctx.clock.now(), ctx.config.blockStorage.poolDownAfterMs))
    throw hostUnavailable(`Host '${named}' does not answer now.`)
  return pool
}

export async function dataAt(ctx: Ctx, { host, backend }: Place): Promise<ManageableData[]> {
  const found = await callAgent(ctx, host, "volume.unmanaged", { backend })
  return found.map(({ name, sizeBytes, problem }) => ({
    name,
    sizeGib: Math.max(1, Math.ceil(sizeBytes / gib)),
    problem,
  }))
}

/** Throws for what cannot become a volume. */
export async function dataNamed(ctx: Ctx, place: Place, name: string): Promise<ManageableData> {
  const found = (await dataAt(ctx, place)).find((each) => each.name === name)
  if (!found) throw inputInvalid(`ref: there are no data called ${JSON.stringify(name)} to manage.`)
  if (found.problem !== null) throw inputInvalid(`ref: ${JSON.stringify(name)}: ${found.problem}`)
  return found
}

/** Snapshots are known by their names alone; either may become the other. */
export const isOfKind = (kind: ManageableKind, name: string) =>
  name.startsWith(prefixes.snapshot) === (kind === "snapshot")
