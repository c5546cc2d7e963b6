// What a run has started on this machine, and how each of it ends. A run that is interrupted ends the same things as
// one that comes to its end. So the end of a thing is noted before the thing is made, and works when it is not there.
export class Held implements AsyncDisposable {
  readonly #ends: (() => unknown)[] = []
  #ending: Promise<void> | undefined

  /** Runs `end` when this ends, the last noted first. Throws when it is ending: then nothing more may be started. */
  defer(end: () => unknown): void {
    if (this.#ending) throw new Error("the run is ending")
    this.#ends.push(end)
  }

  /** A part of this that may end earlier. */
  scope(): Held {
    const inner = new Held()
    this.defer(() => inner[Symbol.asyncDispose]())
    return inner
  }

  /** The same end for all who ask; a failure in one end does not keep the others from theirs. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#ending ??= this.#endAll()
    return this.#ending
  }

  async #endAll(): Promise<void> {
    const errors: unknown[] = []
    for (const end of this.#ends.reverse()) {
      try {
        await end()
      } catch (error) {
        errors.push(error)
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, `not everything ended well: ${errors.join("; ")}`)
  }
}

const signals = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const

/** Ctrl-C ends what was started before it ends the process; further ones change nothing. */
export function endOnSignal(held: Held): void {
  let isEnding = false
  for (const [name, number] of Object.entries(signals)) {
    process.on(name, () => {
      if (isEnding) return
      isEnding = true
      process.stderr.write("ending what was started ...\n")
      void held[Symbol.asyncDispose]()
        .catch((error: unknown) => process.stderr.write(`${error}\n`))
        .finally(() => process.exit(128 + number))
    })
  }
}
