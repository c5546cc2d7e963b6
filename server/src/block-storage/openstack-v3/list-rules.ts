// What each list may be asked, in Cinder's words; `GET /resource_filters` tells it.
import {
  attachmentNoun,
  backupNoun,
  groupNoun,
  groupSnapshotNoun,
  messageNoun,
  snapshotNoun,
  transferNoun,
  volumeNoun,
} from "../index.ts"
import { countedFrom, countQuery } from "./counted.ts"
import type { ListRules } from "./parts.ts"

const otherNames = { display_name: "name", display_description: "description" }
const forAdmins = new Set(["host"])
const counted = { [countQuery]: countedFrom }

export const volumeRules: ListRules = {
  fields: volumeNoun.fields,
  otherNames,
  forAdmins,
  since: {
    glance_metadata: "3.4",
    group_id: "3.10",
    created_at: "3.60",
    updated_at: "3.60",
    consumes_quota: "3.65",
  },
  objects: new Set(["metadata", "glance_metadata"]),
  besides: counted,
}

export const snapshotRules: ListRules = {
  fields: snapshotNoun.fields,
  otherNames,
  forAdmins,
  since: { metadata: "3.22", consumes_quota: "3.65" },
  objects: new Set(["metadata"]),
  besides: counted,
}

export const backupRules: ListRules = {
  fields: backupNoun.fields,
  otherNames,
  besides: counted,
}

/** Cinder takes `list_volume` where it shows none as well. */
export const groupRules: ListRules = { fields: groupNoun.fields, besides: { list_volume: "3.25" } }

export const groupSnapshotRules: ListRules = { fields: groupSnapshotNoun.fields }

export const attachmentRules: ListRules = {
  fields: attachmentNoun.fields,
  otherNames: { attach_status: "status" },
}

export const messageRules: ListRules = { fields: messageNoun.fields }

export const transferRules: ListRules = {
  fields: transferNoun.fields,
  otherNames: { display_name: "name", project_id: "source_project_id" },
}
