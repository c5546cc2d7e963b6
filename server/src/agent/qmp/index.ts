export * from "./commands.ts"
export { QmpConnection, type QmpEvent, type QmpOptions } from "./connection.ts"
export { QmpClosedError, QmpError, QmpProtocolError, QmpTimeoutError } from "./errors.ts"
export { eventuallyInQemu } from "./wait.ts"
