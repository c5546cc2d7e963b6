// Placement's errors: {"errors": [{"status", "title", "detail", "code" (since 1.23), "request_id"}]}.
import { faultTable } from "../../api/openstack/fault-table.ts"
import type { Fault } from "../../platform/fault/fault.ts"
import { methodNotAllowed } from "../../platform/http/faults.ts"
import { atLeast, negotiate } from "../../platform/http/microversion.ts"
import type { WireRequest } from "../../platform/http/wire.ts"
import {
  consumerGenerationConflict,
  generationConflict,
  inventoryExists,
  inventoryInUse,
  providerHasChildren,
  providerInUse,
  providerNameTaken,
  reshapeProviderUnknown,
} from "../index.ts"
import {
  mediaTypeNotTaken,
  notAcceptable,
  queryKeyTwice,
  queryValueBad,
  queryValueMissing,
} from "./faults.ts"
import { microversions } from "./versions.ts"

export const renderFault = faultTable({
  statuses: { no_capacity: 409, unsupported: 400 },
  // Clients decide by these words and not by ours.
  codes: {
    [inventoryInUse.code]: { word: "placement.inventory.inuse" },
    [generationConflict.code]: { word: "placement.concurrent_update" },
    [consumerGenerationConflict.code]: { word: "placement.concurrent_update" },
    [inventoryExists.code]: { word: "placement.concurrent_update" },
    [providerNameTaken.code]: { word: "placement.duplicate_name" },
    [providerInUse.code]: { word: "placement.resource_provider.inuse" },
    [providerHasChildren.code]: { word: "placement.resource_provider.cannot_delete_parent" },
    [reshapeProviderUnknown.code]: { word: "placement.resource_provider.not_found" },
    [queryKeyTwice.code]: { word: "placement.query.duplicate_key" },
    [queryValueBad.code]: { word: "placement.query.bad_value" },
    [queryValueMissing.code]: { word: "placement.query.missing_value" },
    [mediaTypeNotTaken.code]: { status: 415 },
    [notAcceptable.code]: { status: 406 },
    "api.microversion.not_served": { status: 406 },
  },
  messageOf,
  body: ({ fault, status, title, message, word }, { requestId, headers }) => {
    const isVersionRefused = fault.code === "api.microversion.not_served"
    const error = {
      status,
      title,
      detail: message,
      ...(showsCode(fault, headers) ? { code: word || "placement.undefined_code" } : {}),
      request_id: requestId,
      ...(isVersionRefused ? { max_version: microversions.max, min_version: microversions.min } : {}),
    }
    return { body: { errors: [error] } }
  },
})

function messageOf(fault: Fault): string {
  if (fault.code === "request.malformed_json") return `Malformed JSON: ${fault.message}`
  if (fault.code === methodNotAllowed.code) return "The method specified is not allowed for this resource."
  return fault.message
}

function showsCode(fault: Fault, headers: WireRequest["headers"]): boolean {
  // Strangers are turned away before their microversion is looked at.
  if (fault.code.startsWith("api.microversion.") || fault.kind === "unauthenticated") return false
  return atLeast(negotiate(microversions, headers), "1.23")
}
