// Whether a migration only adds (expand), so that the program of before goes on with the schema, or takes something
// away (contract), so that only programs do that use it no more (ADR 45). What can take something away says which:
//
//   -- contract: programs from 3        `schema` in server/program.json of the first program that does without it
//   -- expand: why it takes nothing away
const contractMark = /^-- contract: programs from (\d{1,6})\s*$/m
const expandMark = /^-- expand: \S.*$/m

/** Contracts of before there were marks were made for programs of before there were numbers. */
const unmarkedProgram = 1

/** The first program that may use the schema after this migration; null: whichever used it before. */
export function programsFrom(sql: string): number | null {
  const [, number] = contractMark.exec(sql) ?? []
  if (number !== undefined) return Number(number)
  return isMarked(sql) || contractingStatements(sql).length === 0 ? null : unmarkedProgram
}

export function isMarked(sql: string): boolean {
  return contractMark.test(sql) || expandMark.test(sql)
}

/** Statements that a program of before may trip over; what is made of a table of the same file is none. */
export function contractingStatements(sql: string): string[] {
  const statements = statementsOf(sql)
  const own = new Set(
    statements.flatMap((each) => {
      const [, name] = /^create (?:unlogged )?table (?:if not exists )?(\S+)/.exec(each) ?? []
      return name === undefined ? [] : [name]
    }),
  )
  return statements.filter((each) => canContract(each, own))
}

const takesAway = [
  /^drop /,
  /^truncate /,
  /^alter (type|domain|function|view|materialized view|index|sequence|schema) .*\b(rename|drop|set schema)\b/,
  /^create (or replace )?(rule|policy) /,
  // What runs within a block is not looked at.
  /^do /,
]

/** Of a table that is there already: its other users may not do what these ask for. */
const ofTable = [
  /\brename\b/,
  /\bset schema\b/,
  // Columns, constraints, defaults, not null (who reads the column may not expect it).
  /\bdrop\b/,
  /\bset not null\b/,
  /\balter (column )?\S+ (set data )?type\b/,
  /\badd (constraint|check|unique|primary key|foreign key|exclude)\b/,
]

function canContract(statement: string, own: ReadonlySet<string>): boolean {
  if (takesAway.some((pattern) => pattern.test(statement))) return true
  const [, indexed] = /^create unique index .*? on (?:only )?([^\s(]+)/.exec(statement) ?? []
  if (indexed !== undefined) return !own.has(indexed)
  const [, table, change = ""] = /^alter table (?:if exists )?(?:only )?(\S+) (.*)$/.exec(statement) ?? []
  if (table === undefined || own.has(table)) return false
  return ofTable.some((pattern) => pattern.test(change)) || actionsOf(change).some(needsValue)
}

/** A new column that whoever does not know it cannot leave out. */
function needsValue(action: string): boolean {
  return (
    /^add (column )?/.test(action) &&
    /\bnot null\b|\bprimary key\b/.test(action) &&
    !/\bdefault\b|\bgenerated\b/.test(action)
  )
}

/** By the commas that are in no parentheses. */
function actionsOf(change: string): string[] {
  let depth = 0
  let from = 0
  const actions: string[] = []
  for (let at = 0; at <= change.length; at++) {
    const character = change[at]
    if (character === "(") depth++
    else if (character === ")") depth--
    else if ((character === "," && depth === 0) || character === undefined) {
      actions.push(change.slice(from, at).trim())
      from = at + 1
    }
  }
  return actions
}

/** In small letters and single blanks, without comments and what stands in quotes. */
function statementsOf(sql: string): string[] {
  return sql
    .replaceAll(/--[^\n]*|\/\*[\s\S]*?\*\//g, " ")
    .replaceAll(/\$(\w*)\$[\s\S]*?\$\1\$|'(?:[^']|'')*'/g, "''")
    .split(";")
    .map((each) => each.replaceAll(/\s+/g, " ").trim().toLowerCase())
    .filter((each) => each !== "")
}
