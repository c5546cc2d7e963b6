// Kinds of consoles as Nova's API names them, and the one of a machine that each shows.
import type { ConsoleKind } from "../../agent/protocol.ts"
import { consoleTypeInvalid, consoleTypeUnavailable } from "../faults.ts"

export const consoleTypes: Readonly<Record<ConsoleKind, string>> = { vnc: "novnc", serial: "serial" }

/** Below the cloud's address: the page, and the WebSocket at the same place. */
export const consolePaths: Readonly<Record<ConsoleKind, string>> = {
  vnc: "/console/vnc",
  serial: "/console/serial",
}

/** As a Nova answers whose operator switched the proxies for SPICE and MKS off. */
export function consoleKindOf(protocol: string, type: string): ConsoleKind {
  if (protocol !== "vnc" && protocol !== "serial") throw consoleTypeUnavailable(type)
  if (consoleTypes[protocol] !== type) throw consoleTypeInvalid(type)
  return protocol
}

export function consoleKindOfType(type: string): ConsoleKind | undefined {
  return (["vnc", "serial"] as const).find((kind) => consoleTypes[kind] === type)
}
