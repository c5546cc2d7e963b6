import { Type } from "typebox"
import { configSection, type SectionOf } from "../platform/config/config.ts"
import { readRanges } from "../platform/net/ranges.ts"

const tib = 1024 ** 4

export const imageConfig = configSection(
  "image",
  Type.Object({
    storeDir: Type.String({
      default: "",
      description:
        "Directory of the image data. Empty: `image` in the data directory. With several hosts it must be a " +
        "file system that all API and worker hosts share.",
    }),
    sizeMaxBytes: Type.Integer({
      default: tib,
      minimum: 1,
      description: "Bytes of one image at the most; a bound for uploads that do not say how long they are.",
    }),
    reserveBytes: Type.Integer({
      default: 256 * 1024 ** 2,
      minimum: 0,
      description:
        "Room that image data leave on their disk; an upload that would use it gets 413. The database of a small " +
        "cloud lies on the same disk, and cannot work when that is full.",
    }),
    formatMismatch: Type.Union([Type.Literal("flag"), Type.Literal("refuse")], {
      default: "flag",
      description:
        "What happens to data that is not of the declared disk format. `refuse`: the upload gets 415. `flag`: it is " +
        "kept, can be downloaded, and no machine boots it. Data that refers to other files is always refused.",
    }),
    inspectTimeoutMs: Type.Integer({
      default: 30_000,
      minimum: 100,
      description: "Time that qemu-img may take to read the header of an image.",
    }),
    propertyMax: Type.Integer({
      default: 128,
      minimum: -1,
      description: "Properties of an image; -1: any number.",
    }),
    tagMax: Type.Integer({ default: 128, minimum: -1, description: "Tags of an image; -1: any number." }),
    memberMax: Type.Integer({
      default: 128,
      minimum: -1,
      description: "Projects that an image may be shared with; -1: any number.",
    }),
    limitDefault: Type.Integer({
      default: 25,
      minimum: 1,
      description: "Images in a page when none is asked.",
    }),
    limitMax: Type.Integer({ default: 1000, minimum: 1, description: "Images in a page at the most." }),
    transferLeaseMs: Type.Integer({
      default: 60_000,
      minimum: 1000,
      description: "A transfer that did not move for so long is dead; its image goes back to queued.",
    }),
    orphanAgeMs: Type.Integer({
      default: 3_600_000,
      minimum: 0,
      description:
        "A file of the store that no image names is set aside (`kumoi image unknown`) when it is older than this.",
    }),
    taskKeepMs: Type.Integer({
      default: 48 * 3_600_000,
      minimum: 0,
      description: "How long a finished task can be read.",
    }),
    webDownloadHosts: Type.Array(Type.String(), {
      default: ["*"],
      description: "Hosts that the import method web-download may read from, by name; `*` is every host.",
    }),
    webDownloadPorts: Type.Array(Type.Integer({ minimum: 1, maximum: 65_535 }), {
      default: [80, 443],
      description: "Ports that web-download may ask.",
    }),
    webDownloadCidrs: Type.Array(Type.String(), {
      default: [],
      description:
        "Ranges that web-download may ask although they are not public: a mirror in a private network. Requests " +
        "come from this machine, so whatever answers there can be read by every user. Loopback, private, shared, " +
        "link-local and multicast addresses and this machine's own are refused otherwise, behind names and " +
        "redirects as well.",
    }),
    webDownloadTimeoutMs: Type.Integer({
      default: 60_000,
      minimum: 1000,
      description: "Time that a web-download may stand still.",
    }),
    webDownloadDeadlineMs: Type.Integer({
      default: 3 * 3_600_000,
      minimum: 1000,
      maximum: 5 * 3_600_000,
      description: "Time that a web-download may take from its first question to its last byte.",
    }),
    quota: Type.Object({
      countMax: Type.Integer({
        default: -1,
        minimum: -1,
        description:
          "Images of a project; -1: any number. What the registered limit image_count_total starts with.",
      }),
      sizeMibMax: Type.Integer({
        default: -1,
        minimum: -1,
        description:
          "MiB of image data of a project; -1: any size. What the registered limit image_size_total starts with.",
      }),
      stageMibMax: Type.Integer({
        default: -1,
        minimum: -1,
        description:
          "MiB of staged data of a project; -1: any size. What the registered limit image_stage_total starts with.",
      }),
      uploadMax: Type.Integer({
        default: -1,
        minimum: -1,
        description:
          "Transfers of a project at one time; -1: any number. What the registered limit image_count_uploading starts with.",
      }),
    }),
  }),
  (image) => void readRanges(image.webDownloadCidrs, "image.webDownloadCidrs"),
)

declare module "../platform/config/config.ts" {
  interface Config {
    readonly image: SectionOf<typeof imageConfig>
  }
}
