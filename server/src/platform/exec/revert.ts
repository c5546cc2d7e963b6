/** Undo inside one action: push as you go, `done()` at the end; on the way out by an error the undos run in reverse. */
export class Revert implements AsyncDisposable {
  #undos: (() => Promise<unknown> | unknown)[] = []

  push(undo: () => Promise<unknown> | unknown): void {
    this.#undos.push(undo)
  }

  done(): void {
    this.#undos = []
  }

  /** Hands what is to be undone over to whoever goes on. */
  move(): Revert {
    const moved = new Revert()
    moved.#undos = this.#undos
    this.#undos = []
    return moved
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const errors: unknown[] = []
    for (const undo of this.#undos.reverse()) {
      try {
        await undo()
      } catch (error) {
        errors.push(error)
      }
    }
    this.#undos = []
    if (errors.length > 0) throw new AggregateError(errors, "undo failed")
  }
}
