// `kumoi server`: what an operator does with one server.
import { move } from "./move.ts"
import { command, dataOption, type OptionSpecs } from "./options.ts"

const specs = {
  ...dataOption,
  host: { type: "string", value: "HOST", help: "where it goes (default: as the scheduler finds it)" },
  stop: {
    type: "boolean",
    help: "one that no host takes while it runs is stopped for the move, and starts there",
  },
  json: { type: "boolean", help: "as JSON, a line for each thing that happens" },
} as const satisfies OptionSpecs

const what = `One server, by its id or a name that no other has:

  move SERVER      it goes to another host: while it runs if it can, or while it is off; this waits until it is there.
                   Nothing is left to be confirmed. Broken off, it goes on; say it again to see its end.

Exit status: 0 it is there, 1 it is not.`

const about = { usage: "server move SERVER [options]", what, specs, takesWords: true }

export const server = command(about, async (options) => {
  const [action, text, ...others] = options.positionals
  if (action !== "move" || text === undefined || others.length > 0) {
    process.stderr.write("kumoi: use server move SERVER.\n")
    return 2
  }
  return await move(options, {
    ...{ server: text, to: options.text("host") ?? null, mayStop: options.flag("stop") },
  })
})
