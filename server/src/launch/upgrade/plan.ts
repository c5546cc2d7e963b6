// What changes when another program takes a cloud or a host over, and whether the one of before can take it back. Plain
// data in, plain data out.
import { agreedVersion, type Hello } from "../../platform/bus/hello.ts"
import {
  type AppliedMigration,
  type Migration,
  newerMigrations,
  refusingMigration,
  schemaTooNew,
} from "../../platform/db/migrate.ts"
import { Fault } from "../../platform/fault/fault.ts"
import type { Program, ProtocolRange } from "../../platform/program/program.ts"

export interface KnownHost {
  name: string
  /** Null: of before versions were told, or it has not reported. */
  version: string | null
  protocol: ProtocolRange | null
}

export interface PlanFacts {
  from: Program
  to: Program
  /** Null: it is a joined host, which has no database. */
  schema: { applied: readonly AppliedMigration[]; migrations: readonly Migration[] } | null
  /** But for the one that is upgraded with the cloud's process. */
  hosts: readonly KnownHost[]
}

export interface PlannedMigration {
  name: string
  kind: "expand" | "contract"
  /** Of a contraction. */
  programsFrom: number | null
}

export interface UpgradePlan {
  from: Program
  to: Program
  migrations: PlannedMigration[]
  /** Of the database, which a newer program has made and this one does not know. */
  unknownMigrations: string[]
  hosts: (KnownHost & { problem: string | null })[]
  /** Why the program of before could not go on afterwards; null: it could. */
  noWayBack: string | null
  /** Why it cannot be done. */
  problems: string[]
}

export function planUpgrade({ from, to, schema, hosts }: PlanFacts): UpgradePlan {
  const applied = schema?.applied ?? []
  const names = new Set(applied.map(({ name }) => name))
  const toRun = (schema?.migrations ?? []).filter(({ name }) => !names.has(name))
  const unknown = schema ? newerMigrations(applied, schema.migrations) : []
  const refusing = refusingMigration(unknown, to.schema)
  const refused = refusing && schemaTooNew(refusing.name, refusing.minimumProgram, to.schema).message
  const judged = hosts.map((host) => ({ ...host, problem: problemOf(host, to) }))
  const contracting = toRun.find(({ programsFrom }) => (programsFrom ?? 0) > from.schema)
  return {
    ...{ from, to },
    migrations: toRun.map(({ name, programsFrom }) => ({
      ...{ name, programsFrom },
      kind: programsFrom === null ? "expand" : "contract",
    })),
    unknownMigrations: unknown.map(({ name }) => name),
    hosts: judged,
    noWayBack:
      contracting === undefined
        ? null
        : `after ${contracting.name} the schema is for programs from ${contracting.programsFrom} on, and ${from.version} has ${from.schema}`,
    problems: [
      ...(refused === undefined ? [] : [refused]),
      ...judged.flatMap(({ name, problem }) => (problem === null ? [] : [`${name}: ${problem}`])),
    ],
  }
}

function problemOf({ version, protocol }: KnownHost, to: Program): string | null {
  // Who has told nothing is of before; one that never reported is told at its door.
  const host: Hello = { program: version, protocol: protocol ?? { oldest: 1, newest: 1 } }
  try {
    agreedVersion(host, { program: to.version, protocol: to.protocol })
    return null
  } catch (error) {
    if (error instanceof Fault) return error.message
    throw error
  }
}
