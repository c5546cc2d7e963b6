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

test("words that are none of host's, too few or too many say which would be right", async () => {
  const wrong: [words: string[], message: RegExp][] = [
    [[], /^host: use one of token, join, list, /],
    [["fly"], /^host fly: use one of token, join, list, /],
    [["join", "https://10.0.0.1:5443"], /use \.\/kumoi host join URL TOKEN /],
    [["list", "host2"], /^host list host2: use \.\/kumoi host list, with no word behind it;/],
    [["describe"], /^host describe: use \.\/kumoi host describe HOST;/],
    [["drain", "host2", "host3"], /^host drain host2 host3: use \.\/kumoi host drain HOST;/],
    [["gateway", "host2", "maybe"], /^host gateway host2 maybe: use \.\/kumoi host gateway HOST on\|off;/],
    [["discard"], /^host discard: use \.\/kumoi host discard ID \.\.\.;/],
  ]
  for (const [words, message] of wrong)
    await assert.rejects(host([...words, ...nowhere]), { code: "cli.words.invalid", message })
})
