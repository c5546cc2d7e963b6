import assert from "node:assert/strict"
import { test } from "node:test"
import { fleet } from "./fleet/command.ts"
import { host } from "./host.ts"

/** None of these gets as far as asking a cloud. */
const nowhere = ["--data", "/nothing/here"]

test("an option that the action does not take is refused, and whose it is is said", async () => {
  const wrong: [ran: Promise<number>, message: string][] = [
    [host(["disable", "host2", "--hours", "3", ...nowhere]), "--hours is for token."],
    [host(["list", "--name", "host2", ...nowhere]), "--name is for join and token."],
    [host(["remove", "host2", "--yes", ...nowhere]), "--yes is for discard and join."],
    [fleet(["remove", "3", "--profile", "small", ...nowhere]), "--profile is for add."],
  ]
  for (const [ran, message] of wrong) await assert.rejects(ran, { code: "cli.option.invalid", message })
})

test("a number of simulated hosts that is none says which are", async () => {
  for (const word of ["0", "1.5", "1e3", "many", "10001"]) {
    const message = `fleet add ${word}: use a whole number from 1 to 10000.`
    await assert.rejects(fleet(["add", word, ...nowhere]), { code: "cli.option.invalid", message })
  }
  await assert.rejects(fleet(["remove", "0", ...nowhere]), /fleet remove 0: use a whole number from 1 to /)
})
