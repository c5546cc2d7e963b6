import { Fault } from "../../platform/fault/fault.ts"

/** Neutron's plain refusals are named after their status. */
export function badRequest(message: string, type = "HTTPBadRequest"): Fault {
  return new Fault("invalid", "network.wire.bad_request", message, { detail: { type } })
}
