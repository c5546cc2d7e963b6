// Faults of the wire itself: what was sent is not a request of this API.
import { fault } from "../../platform/fault/fault.ts"

export const patchMediaTypes: readonly string[] = [
  "application/openstack-images-v2.0-json-patch",
  "application/openstack-images-v2.1-json-patch",
]

export const taskNotDeletable = fault(
  "unsupported",
  "api.image.task_not_deletable",
  () =>
    "This operation is currently not permitted on Glance Tasks. They are auto deleted after reaching the time based " +
    "on their expires_at property.",
)

export const mediaTypeNotTaken = fault(
  "unsupported",
  "api.image.media_type",
  (given: string, taken: readonly string[]) =>
    `Invalid content type ${given || "(none)"}; use ${taken.join(" or ")}.`,
  (_given, taken) => ({ taken }),
)
