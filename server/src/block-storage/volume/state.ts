// What may be done to a volume in which status, in Cinder's words. Pure; the store makes one compare-and-set of it.
//
//   creating ──► available ──reserve──► reserved ──► attaching ──► in-use ──► detaching ──► available
//       │            │                                               │
//       ▼            ├──extend──► extending ──► (as before)          └──extend (3.42)
//     error          ├──delete──► deleting ──► gone
//                    └──offer──► awaiting-transfer
import type { Volume, VolumeStatus } from "./volume.ts"

export interface VolumeRule {
  /** For the refusal: "Volume status must be … to <verb>". */
  verb: string
  from: readonly VolumeStatus[]
  /** From these as well, when several may have the volume at once. */
  fromShared?: readonly VolumeStatus[]
  to: VolumeStatus
}

const settled: readonly VolumeStatus[] = ["available", "error", "error_extending", "error_restoring"]

export const volumeRules = {
  delete: { verb: "delete", from: [...settled, "error_managing"], to: "deleting" },
  /** Of administrators: whatever it is said to be. */
  forceDelete: {
    verb: "force delete",
    from: [
      ...settled,
      "creating",
      "error_managing",
      "error_unmanaging",
      "reserved",
      "attaching",
      "detaching",
      "maintenance",
      "deleting",
      "error_deleting",
      "uploading",
      "retyping",
      "extending",
      "downloading",
      "reverting",
      "backing-up",
      "restoring-backup",
      "error_backing-up",
      "awaiting-transfer",
    ],
    to: "deleting",
  },
  deleteWithGroup: { verb: "delete", from: [...settled, "error_deleting"], to: "deleting" },
  extend: { verb: "extend", from: ["available"], to: "extending" },
  extendInUse: { verb: "extend", from: ["available", "in-use"], to: "extending" },
  reserve: { verb: "reserve", from: ["available"], fromShared: ["in-use"], to: "reserved" },
  /** By the old call: whoever reserves so goes on to attach. */
  reserveOld: { verb: "reserve", from: ["available"], fromShared: ["in-use"], to: "attaching" },
  unreserve: { verb: "unreserve", from: ["reserved", "attaching"], to: "available" },
  attach: {
    verb: "attach",
    from: ["reserved", "attaching", "available"],
    fromShared: ["in-use"],
    to: "in-use",
  },
  beginDetach: { verb: "begin detaching", from: ["in-use"], to: "detaching" },
  rollDetach: { verb: "roll back detaching of", from: ["detaching"], to: "in-use" },
  detach: { verb: "detach", from: ["in-use", "detaching", "attaching", "reserved"], to: "available" },
  upload: { verb: "upload", from: ["available"], to: "uploading" },
  uploadInUse: { verb: "upload", from: ["available", "in-use"], to: "uploading" },
  revert: { verb: "revert", from: ["available"], to: "reverting" },
  /** What its status is meanwhile is said by whoever moves it. */
  migrate: { verb: "migrate", from: ["available", "in-use"], to: "maintenance" },
  backup: { verb: "back up", from: ["available", "in-use"], to: "backing-up" },
  restore: { verb: "restore", from: ["available"], to: "restoring-backup" },
  retype: { verb: "retype", from: ["available", "in-use"], to: "retyping" },
  offer: { verb: "transfer", from: ["available"], to: "awaiting-transfer" },
  reimage: { verb: "re-image", from: ["available", "error"], to: "downloading" },
  reimageReserved: { verb: "re-image", from: ["available", "error", "reserved"], to: "downloading" },
  /** While the server has no machine. From `error`, as an image that failed to be written may be written again. */
  reimageOfServer: { verb: "re-image", from: ["in-use", "error"], to: "downloading" },
  unmanage: {
    verb: "unmanage",
    from: [...settled, "error_managing", "error_unmanaging"],
    to: "unmanaging",
  },
  withdraw: { verb: "take back", from: ["awaiting-transfer"], to: "available" },
} as const satisfies Record<string, VolumeRule>

export type VolumeAction = keyof typeof volumeRules

export function movingRefusal(verb: string, id: string): string {
  return `Volume ${id} must not be migrating to ${verb} it: it is on its way to another back end, or to another host with its server.`
}

export function refusalOf(rule: VolumeRule, volume: Pick<Volume, "id" | "status" | "isMultiattach">): string {
  const { verb, from, fromShared = [] } = rule
  const { id, status, isMultiattach } = volume
  const words = isMultiattach ? [...from, ...fromShared] : from
  return `Volume ${id} status must be ${words.join(" or ")} to ${verb} it, but current status is: ${status}.`
}
