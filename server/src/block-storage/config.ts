import { Type } from "typebox"
import { configSection, type SectionOf } from "../platform/config/config.ts"

const limit = (value: number, description: string) =>
  Type.Integer({ default: value, minimum: -1, description })

export const blockStorageConfig = configSection(
  "blockStorage",
  Type.Object({
    quota: Type.Object(
      {
        volumes: limit(10, "Volumes of a project."),
        gigabytes: limit(1_000, "GiB of a project's volumes and snapshots together."),
        snapshots: limit(10, "Snapshots of a project."),
        groups: limit(10, "Groups of volumes of a project."),
        perVolumeGigabytes: limit(-1, "GiB of one volume at the most."),
        backups: limit(10, "Backups of a project."),
        backupGigabytes: limit(1_000, "GiB of the volumes that a project's backups are of, together."),
      },
      { description: "Default limits of a project; -1 is unlimited." },
    ),
    backup: Type.Object(
      {
        directory: Type.String({
          default: "",
          maxLength: 4_096,
          description: "Where backups are kept; empty: volume-backups in the data directory.",
        }),
        container: Type.String({
          default: "volumebackups",
          minLength: 1,
          maxLength: 255,
          description: "The container of a backup for which none is named.",
        }),
        chunkBytes: Type.Integer({
          default: 4 * 1024 ** 2,
          minimum: 4_096,
          maximum: 64 * 1024 ** 2,
          multipleOf: 512,
          description:
            "Bytes of a piece of a backup: what is compared with the last one, and kept where it differs.",
        }),
        reservedBytes: Type.Integer({
          default: 1024 ** 3,
          minimum: 0,
          description: "Bytes that stay free where backups are kept.",
        }),
      },
      { description: "Backups of volumes." },
    ),
    defaultVolumeType: Type.String({
      default: "__DEFAULT__",
      minLength: 1,
      maxLength: 255,
      description:
        "Type of a volume for which none is asked, in projects without a default type of their own.",
    }),
    defaultGroupType: Type.String({
      default: "",
      maxLength: 255,
      description: "The group type that users are shown as the default one; empty: there is none.",
    }),
    groupVolumesMost: Type.Integer({
      default: 100,
      minimum: 1,
      maximum: 256,
      description: "Volumes of a group at the most: all are snapshotted together.",
    }),
    availabilityZone: Type.String({
      default: "nova",
      minLength: 1,
      maxLength: 255,
      description: "The availability zone of all volumes.",
    }),
    oversubscriptionRatio: Type.Number({
      default: 20,
      minimum: 1,
      description:
        "So many times the size of a back end may be promised to volumes, where they take only what is written.",
    }),
    reservedBytes: Type.Integer({
      default: 1024 ** 3,
      minimum: 0,
      description: "Bytes that stay free in a back end: one with less gets no new volume.",
    }),
    poolDownAfterMs: Type.Integer({
      default: 60_000,
      minimum: 1_000,
      description: "A back end whose host is silent for so long gets no new volumes.",
    }),
    listLimitMost: Type.Integer({
      default: 1_000,
      minimum: 1,
      description: "Volumes of a page at the most.",
    }),
    agentCallTimeoutMs: Type.Integer({
      default: 60_000,
      minimum: 1_000,
      description: "How long a host may take to make an empty volume, to extend or to delete one.",
    }),
    agentCopyTimeoutMs: Type.Integer({
      default: 7_200_000,
      minimum: 1_000,
      description: "How long a host may take to copy the data of a volume, a snapshot or an image.",
    }),
  }),
)

declare module "../platform/config/config.ts" {
  interface Config {
    readonly blockStorage: SectionOf<typeof blockStorageConfig>
  }
}
