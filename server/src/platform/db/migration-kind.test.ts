import assert from "node:assert/strict"
import { test } from "node:test"
import { contractingStatements, programsFrom } from "./migration-kind.ts"

const contracting = [
  "drop table a.b",
  "DROP  INDEX a.b",
  "truncate a.b",
  "alter table a.b drop column c",
  "alter table a.b drop c",
  "alter table if exists only a.b add column d int, drop column c",
  "alter table a.b rename to e",
  "alter table a.b rename column c to d",
  "alter table a.b alter column c set not null",
  "alter table a.b alter column c drop not null",
  "alter table a.b alter c drop default",
  "alter table a.b alter c type bigint",
  "alter table a.b alter column c set data type text",
  "alter table a.b add column c int not null",
  "alter table a.b add column d int, add c text not null check (c in ('a', 'b'))",
  "alter table a.b add column c int constraint x primary key",
  "alter table a.b add constraint c check (d > 0)",
  "alter table a.b add unique (c)",
  "alter table a.b set schema c",
  "alter type a.b rename value 'c' to 'd'",
  "alter view a.b rename to c",
  "create unique index c on a.b (d)",
  "create unique index concurrently if not exists c on only a.b using btree (d)",
  "do $$ begin execute 'drop table a.b'; end $$",
]
const expanding = [
  "create table a.b (c int not null unique, d text not null)",
  "create table if not exists a.b (c int); create unique index d on a.b (c); alter table a.b add check (c > 0)",
  "create index c on a.b (d)",
  "alter table a.b add column c int",
  "alter table a.b add column c int not null default 0, add column d text",
  "alter table a.b add column c int generated always as (d + 1) stored not null",
  "alter table a.b alter column c set default 0",
  "alter type a.b add value 'c'",
  "insert into a.b values ('drop table a.b; alter table a.b rename to c')",
  "update a.b set c = 1",
  "-- drop table a.b;\n/* alter table a.b\n drop column c; */ select 1",
  "create or replace function a.f() returns void language sql as $x$ drop table a.b; $x$",
]

for (const sql of contracting)
  test(`takes something away: ${sql}`, () => {
    assert.equal(contractingStatements(`select 1;\n${sql};\n`).length, 1)
    assert.equal(programsFrom(sql), 1)
    assert.equal(programsFrom(`-- expand: it does not.\n${sql}`), null)
  })

for (const sql of expanding)
  test(`only adds: ${sql}`, () => {
    assert.deepEqual(contractingStatements(sql), [])
    assert.equal(programsFrom(sql), null)
  })

test("a mark says from which program on", () => {
  assert.equal(programsFrom("-- Why.\n-- contract: programs from 12\ndrop table a.b;"), 12)
  assert.equal(programsFrom("-- contract: programs from 3\nupdate a.b set c = null;"), 3)
  assert.equal(programsFrom("-- contract: programs from three\ndrop table a.b;"), 1)
  assert.equal(programsFrom("-- expand:\ndrop table a.b;"), 1)
})
