/** No connection to the server, or it ended before the answer came: whether the request was done is unknown. */
export class OvsdbUnavailable extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause })
    this.name = "OvsdbUnavailable"
  }
}

/** The server refused a request or one operation of a transaction; nothing of the transaction was done. */
export class OvsdbError extends Error {
  /** The server's word: "constraint violation", "referential integrity violation", "timed out" … */
  readonly error: string
  /** Index of the operation that failed; undefined when the transaction failed as a whole. */
  readonly operationIndex: number | undefined

  constructor(error: string, details: string | undefined, operationIndex?: number, operation?: unknown) {
    const where = operationIndex === undefined ? "" : ` in operation ${operationIndex}`
    const what = operation === undefined ? "" : `: ${JSON.stringify(operation).slice(0, 400)}`
    super(`ovsdb: ${error}${where}${details ? ` (${details})` : ""}${what}`)
    this.name = "OvsdbError"
    this.error = error
    this.operationIndex = operationIndex
  }
}
