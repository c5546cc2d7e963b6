// Migrations only add, so that the program of before can go on with the schema, or say that they do not (ADR 45).
import assert from "node:assert/strict"
import { test } from "node:test"
import { type Migration, readMigrations } from "../server/src/platform/db/migrate.ts"
import { contractingStatements, isMarked } from "../server/src/platform/db/migration-kind.ts"
import { ownProgram } from "../server/src/platform/program/program.ts"

/** The last ones of each service from before there was the rule. */
const lastBefore: Readonly<Record<string, string>> = {
  "block-storage": "0140",
  compute: "0160",
  engine: "0011",
  host: "0002",
  identity: "0040",
  image: "0044",
  network: "0091",
  placement: "0040",
  platform: "0001",
  quota: "0050",
}

function isUnderTheRule(name: string): boolean {
  const [service = "", file = ""] = name.split("/")
  return file.slice(0, 4) > (lastBefore[service] ?? "")
}

function problemsOf({ name, sql, programsFrom }: Pick<Migration, "name" | "sql" | "programsFrom">): string[] {
  const statements = contractingStatements(sql)
  const { schema } = ownProgram()
  return [
    ...(statements.length === 0 || isMarked(sql)
      ? []
      : [
          `${name}: the program of before may trip over: ${statements.join("; ")} (docs/how-to/add-a-migration.md)`,
        ]),
    ...((programsFrom ?? 0) > schema
      ? [`${name}: it is for programs from ${programsFrom}, and this one is ${schema} (server/program.json)`]
      : []),
  ]
}

test("migrations only add, or are marked", async () => {
  const problems = (await readMigrations()).filter(({ name }) => isUnderTheRule(name)).flatMap(problemsOf)
  assert.deepEqual(problems, [])
})

test("the rule begins with the next migration of each service, and with the first of a new one", async () => {
  const names = (await readMigrations()).map(({ name }) => name)
  for (const [service, number] of Object.entries(lastBefore))
    assert.ok(
      names.some((name) => name.startsWith(`${service}/${number}_`)),
      `${service}/${number}`,
    )
  assert.ok(isUnderTheRule("compute/0161_next"))
  assert.ok(!isUnderTheRule("compute/0160_evacuations"))
  assert.ok(isUnderTheRule("new/0001_first"))
})

test("what takes something away without a mark is found, and a mark for a program that is not there yet", () => {
  const drop = "alter table compute.server drop column name;"
  const found = problemsOf({ name: "compute/0999_x", sql: drop, programsFrom: 1 })
  assert.match(found.join(), /0999_x.*drop column name/)
  assert.deepEqual(
    problemsOf({ name: "compute/0999_x", sql: `-- contract: programs from 1\n${drop}`, programsFrom: 1 }),
    [],
  )
  const future = ownProgram().schema + 1
  const early = problemsOf({ name: "compute/0999_x", sql: "select 1", programsFrom: future })
  assert.match(early.join(), /server\/program\.json/)
})
