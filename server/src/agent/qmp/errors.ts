/** QEMU refused a command. `errorClass` is QEMU's own word: GenericError, CommandNotFound, DeviceNotFound … */
export class QmpError extends Error {
  readonly command: string
  readonly errorClass: string

  constructor(command: string, errorClass: string, description: string) {
    super(`${command}: ${description}`)
    this.name = "QmpError"
    this.command = command
    this.errorClass = errorClass
  }
}

/** No answer within the time limit. QEMU may still carry the command out. */
export class QmpTimeoutError extends Error {
  constructor(what: string, timeoutMs: number) {
    super(`${what}: no answer within ${timeoutMs} ms`)
    this.name = "QmpTimeoutError"
  }
}

/** The connection is gone: QEMU ended, or it was closed here. */
export class QmpClosedError extends Error {
  constructor(what: string, cause?: unknown) {
    super(`${what}: the connection to QEMU is closed`, { cause })
    this.name = "QmpClosedError"
  }
}

/** What came over the socket is not QMP. */
export class QmpProtocolError extends Error {
  constructor(message: string) {
    super(message)
    this.name = "QmpProtocolError"
  }
}
