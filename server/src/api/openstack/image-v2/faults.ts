// Faults of the wire itself: what was sent is not a request of this API.
import { fault } from "../../../platform/fault/fault.ts"

export const patchMediaTypes: readonly string[] = [
  "application/openstack-images-v2.0-json-patch",
  "application/openstack-images-v2.1-json-patch",
]

export const mediaTypeNotTaken = fault(
  "unsupported",
  "api.image.media_type",
  (given: string, taken: readonly string[]) =>
    `Invalid content type ${given || "(none)"}; use ${taken.join(" or ")}.`,
  (_given, taken) => ({ taken }),
)
