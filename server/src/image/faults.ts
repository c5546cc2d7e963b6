import { fault } from "../platform/fault/fault.ts"

export const storeOfLaterEpoch = fault(
  "precondition",
  "image.store.later_epoch",
  (path: string, found: number, own: number) =>
    `The image store was used by a later database (epoch ${found} in ${path}) than this one (${own}). Is this the ` +
    "right database? Nothing in the store is set aside or removed.",
)
export const lostFileNotFound = fault(
  "not_found",
  "image.lost_file.not_found",
  (id: string) => `No file ${id} is set aside; \`kumoi image unknown\` lists those that are.`,
)
export const lostFileInPlace = fault(
  "conflict",
  "image.lost_file.in_place",
  (id: string) => `File ${id} lies in its place until it is old enough to be set aside (image.orphanAgeMs).`,
)
export const imageNotFound = fault(
  "not_found",
  "image.image.not_found",
  (id: string) => `No image found with ID ${id}`,
)

export const imageIdTaken = fault(
  "conflict",
  "image.image.id_taken",
  (id: string) => `Image ID ${id} already exists!`,
)

export const imageProtected = fault(
  "forbidden",
  "image.image.protected",
  (id: string) => `Image ${id} is protected and cannot be deleted.`,
)

export const attributeReadOnly = fault(
  "forbidden",
  "image.attribute.read_only",
  (name: string) => `Attribute '${name}' is read-only.`,
)

export const attributeReserved = fault(
  "forbidden",
  "image.attribute.reserved",
  (name: string) => `Attribute '${name}' is reserved.`,
)

export const attributeNotRemovable = fault(
  "forbidden",
  "image.attribute.not_removable",
  (name: string) => `Property ${name} may not be removed.`,
)

export const attributeNotChangeable = fault(
  "forbidden",
  "image.attribute.only_while_queued",
  (name: string) => `Attribute ${name} can be only replaced for a queued image.`,
)

export const propertyNotFound = fault(
  "conflict",
  "image.property.not_found",
  (name: string) => `Property ${name} does not exist.`,
)

export const propertyExists = fault(
  "conflict",
  "image.property.exists",
  (name: string) => `Property ${name} already present.`,
)

export const locationsHidden = fault(
  "forbidden",
  "image.location.hidden",
  () => "It's not allowed to update locations if locations are invisible.",
)

export const locationsNeverEmpty = fault("forbidden", "image.location.never_empty", (why: string) => why)

export const locationNeedsStore = fault(
  "forbidden",
  "image.location.needs_store",
  () => "A store of type http must be configured to use locations.",
)

export const locationNotNow = fault(
  "conflict",
  "image.location.not_now",
  (action: string, status: string) => `It's not allowed to ${action} locations if image status is ${status}.`,
)

export const locationConflict = fault("conflict", "image.location.conflict", (why: string) => why)

export const locationDiffers = fault(
  "invalid",
  "image.location.differs",
  (url: string, what: string) => `The ${what} of the data at ${url} is not what was said.`,
)

export const ownerNotChangeable = fault(
  "forbidden",
  "image.owner.admin_only",
  () => "Owner can't be updated by non admin.",
)

export const ownerNotYours = fault(
  "forbidden",
  "image.owner.not_yours",
  (owner: string) => `You are not permitted to create images owned by '${owner}'.`,
)

export const statusConflict = fault(
  "conflict",
  "image.image.status_conflict",
  (from: string, to: string) => `Image status transition from ${from} to ${to} is not allowed`,
)

export const actionNotAllowed = fault(
  "forbidden",
  "image.image.action_not_allowed",
  (action: string, status: string) => `Not allowed to ${action} image in status '${status}'`,
)

export const imageNotActive = fault(
  "conflict",
  "image.image.not_active",
  (id: string, status: string) => `Image ${id} is not active: it is ${status}.`,
)

export const imageDataUnread = fault(
  "conflict",
  "image.data.unread",
  (id: string, why: string) => `Image ${id} cannot be used now: ${why}.`,
)

export const imageGone = fault(
  "not_found",
  "image.image.gone",
  (id: string) =>
    `Image ${id} could not be found after upload. The image may have been deleted during the upload; ` +
    "what was uploaded is removed.",
)

export const imageHasNoData = fault(
  "not_found",
  "image.data.absent",
  (id: string) => `Image ${id} has no data yet.`,
)

export const dataUnreachable = fault(
  "unavailable",
  "image.data.unreachable",
  (id: string) => `The data of image ${id} cannot be read from any of the stores that have them.`,
)

export const dataDeactivated = fault(
  "forbidden",
  "image.data.deactivated",
  () => "The requested image has been deactivated. Image data download is forbidden.",
)

export const dataTooLarge = fault(
  "too_large",
  "image.data.too_large",
  (limitBytes: number) => `The image is too large: at most ${limitBytes} bytes are taken.`,
)

export const dataIncomplete = fault(
  "invalid",
  "image.data.incomplete",
  (received: number, announced: number | null) =>
    announced === null
      ? `The upload ended early, after ${received} bytes.`
      : `The upload ended early: ${received} of ${announced} bytes arrived.`,
)

export const dataRefused = fault(
  "unsupported",
  "image.data.refused",
  (why: string) => `The image data is refused: ${why}.`,
)

export const signatureRefused = fault(
  "invalid",
  "image.signature.refused",
  (why: string) => `Signature verification failed: ${why}.`,
)

export const storeFull = fault(
  "over_quota",
  "image.store.full",
  () => "Image storage media is full: there is not enough disk space on the image storage media.",
)

export const storeUnknown = fault(
  "invalid",
  "image.store.unknown",
  (store: string, known: string) => `There is no store '${store}'; stores are ${known}.`,
)

export const storeNotThere = fault(
  "conflict",
  "image.store.not_there",
  (store: string) => `The selected store ${store} is not available on this node.`,
)

export const storeReadOnly = fault(
  "conflict",
  "image.store.read_only",
  (store: string) => `Adding images to store '${store}' is disabled: it is only read.`,
)

export const storeHasNoImage = fault(
  "not_found",
  "image.store.no_image",
  (image: string, store: string) => `Image ${image} is not stored in store ${store}.`,
)

export const storeHasNoData = fault(
  "conflict",
  "image.store.no_data",
  () => "It's not allowed to remove image data from store if image status is not 'active'",
)

export const storeIsLast = fault(
  "forbidden",
  "image.store.last",
  () => "Cannot delete image data from the only store containing it. Consider deleting the image instead.",
)

export const cachedImageInUse = fault(
  "conflict",
  "image.cache.in_use",
  (id: string, hosts: number) =>
    `Image ${id} stays in the cache of ${hosts} host${hosts === 1 ? "" : "s"}: machines or volumes there need it.`,
)

export const cacheUnderway = fault(
  "unavailable",
  "image.cache.underway",
  () => "The images are still being taken out of the caches; look again later.",
)

export const rangeNotSatisfiable = fault(
  "invalid",
  "image.data.range_not_satisfiable",
  (range: string, sizeBytes: number) =>
    `The range '${range}' is not satisfiable for an image of ${sizeBytes} bytes.`,
)

export const memberNotFound = fault(
  "not_found",
  "image.member.not_found",
  (member: string, image = "") => `${member} not found in the member list of the image ${image}.`,
)

export const memberExists = fault(
  "conflict",
  "image.member.exists",
  (member: string, image: string) => `Member ${member} is duplicated for image ${image}`,
)

export const memberNotAllowed = fault(
  "forbidden",
  "image.member.not_allowed",
  (action: string, image: string, why: string) =>
    `Not allowed to ${action} members for image ${image}: ${why}`,
)

export const limitExceeded = fault(
  "too_large",
  "image.limit.exceeded",
  (what: string, most: number) =>
    `The limit has been exceeded on the number of allowed image ${what}: at most ${most}.`,
)

export const tagNotFound = fault(
  "not_found",
  "image.tag.not_found",
  (tag: string, image: string) => `Image ${image} has no tag '${tag}'.`,
)

export const taskNotFound = fault(
  "not_found",
  "image.task.not_found",
  (id: string) => `No task found with ID ${id}`,
)

export const importNotPossible = fault("conflict", "image.import.not_possible", (why: string) => why)

export const copyDiffers = fault(
  "conflict",
  "image.import.copy_differs",
  (id: string) => `What was read of image ${id} is not what its checksum says.`,
)

export const importUnderway = fault(
  "conflict",
  "image.import.underway",
  (id: string) => `New operation on image '${id}' is not permitted as prior operation is still in progress`,
)

export const downloadFailed = fault(
  "unsupported",
  "image.import.download_failed",
  (uri: string, why: string) => `The image cannot be read from ${uri}: ${why}.`,
)

export const namespaceNotFound = fault(
  "not_found",
  "image.metadef_namespace.not_found",
  (name: string) => `Namespace ${name} not found`,
)

export const namespaceExists = fault(
  "conflict",
  "image.metadef_namespace.exists",
  (name: string) => `The metadata definition namespace=${name} already exists.`,
)

export const namespaceProtected = fault(
  "forbidden",
  "image.metadef_namespace.protected",
  (name: string) => `Metadata definition namespace ${name} is protected and cannot be deleted.`,
)

export const metadefItemNotFound = fault(
  "not_found",
  "image.metadef_item.not_found",
  (name: string, kind = "item", namespace = "") =>
    `The metadata definition ${kind} with name=${name} was not found in namespace=${namespace}.`,
)

export const metadefItemExists = fault(
  "conflict",
  "image.metadef_item.exists",
  (kind: string, name: string, namespace: string) =>
    `A metadata definition ${kind} with name=${name} already exists in namespace=${namespace}.`,
)

export const associationNotFound = fault(
  "not_found",
  "image.metadef_association.not_found",
  (type: string, namespace = "") =>
    `The metadata definition resource-type association of resource-type=${type} to namespace=${namespace} ` +
    "was not found.",
)

export const associationExists = fault(
  "conflict",
  "image.metadef_association.exists",
  (type: string, namespace = "") =>
    `The metadata definition resource-type association of resource-type=${type} to namespace=${namespace} ` +
    "already exists.",
)
export const imageTicketRefused = fault(
  "forbidden",
  "image.ticket.refused",
  (imageId: string) => `The ticket does not open image ${imageId} to this host now.`,
)
