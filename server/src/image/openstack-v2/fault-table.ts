// Errors as Glance shows them: as small pages.

import { renderErrorPage } from "../../api/openstack/error-page.ts"
import { faultTable } from "../../api/openstack/fault-table.ts"
import { imageGone, rangeNotSatisfiable, storeReadOnly } from "../index.ts"
import { mediaTypeNotTaken, patchMediaTypes, taskNotDeletable } from "./faults.ts"

export const renderFault = faultTable({
  statuses: { over_quota: 413, unsupported: 415 },
  codes: {
    [imageGone.code]: { status: 410 },
    [storeReadOnly.code]: { status: 410 },
    [rangeNotSatisfiable.code]: { status: 416 },
    [taskNotDeletable.code]: { status: 405, headers: { allow: "GET" } },
  },
  body: ({ fault, status, title, message }, request) => {
    // The token middleware answers before Glance does, always in JSON.
    if (status === 401) return { body: { error: { message, code: status, title } } }
    const page = renderErrorPage({ status, title, message }, request.headers)
    const isPatch = fault.code === mediaTypeNotTaken.code && message.includes("json-patch")
    const acceptPatch = isPatch ? { "accept-patch": patchMediaTypes.join(", ") } : {}
    return { body: page.body, headers: { ...page.headers, ...acceptPatch } }
  },
})
