// Counts what one thing asks of the database, and nothing that runs beside it.
import { AsyncLocalStorage } from "node:async_hooks"
import pg from "pg"

const counted = new AsyncLocalStorage<string[]>()
let isPatched = false

function patch(): void {
  if (isPatched) return
  isPatched = true
  const { query } = pg.Client.prototype
  // The overloads of `query` are passed on as they come.
  const counting = function (this: pg.Client, ...args: unknown[]) {
    const [first] = args
    const text = typeof first === "string" ? first : (first as { text?: string } | undefined)?.text
    counted.getStore()?.push(text ?? "?")
    return Reflect.apply(query, this, args)
  }
  pg.Client.prototype.query = counting as typeof query
}

/** The statements of `run`, also those of the sagas that it starts in this process. */
export async function statementsOf(run: () => Promise<unknown>): Promise<string[]> {
  patch()
  const statements: string[] = []
  await counted.run(statements, run)
  return statements
}
