import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { test } from "node:test"
import { ownProgram } from "../platform/program/program.ts"
import { checkCommandVersion, commandsSince } from "./protocol-versions.ts"

test("no command is of a version that the program does not speak", () => {
  const { newest } = ownProgram().protocol
  for (const [command, since] of Object.entries(commandsSince))
    assert.ok(since >= 1 && since <= newest, `${command}: ${since}`)
})

test("what the first version has stays as it is: a new command gets a version of its own", () => {
  const first = Object.entries(commandsSince).flatMap(([command, since]) => (since === 1 ? [command] : []))
  const sum = createHash("sha256").update(first.sort().join("\n")).digest("hex").slice(0, 16)
  assert.equal(`${first.length} ${sum}`, "62 da327dc82361c8cd")
})

test("a command is not for an agent of before it", () => {
  checkCommandVersion("vm.new", 2, { "vm.new": 2 })
  assert.throws(() => checkCommandVersion("vm.new", 1, { "vm.new": 2 }), {
    code: "agent.command.too_new",
    kind: "unsupported",
    message: /older program.*vm\.new, since protocol 2.*upgraded/,
  })
  checkCommandVersion("no.command", 1)
  checkCommandVersion("constructor", 1)
})
