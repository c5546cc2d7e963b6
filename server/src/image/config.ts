import { Type } from "typebox"
import { configSection, type SectionOf } from "../platform/config/config.ts"
import { readRanges } from "../platform/net/ranges.ts"
import { checkStores } from "./data/stores.ts"

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
    stores: Type.Array(
      Type.Object(
        {
          id: Type.String({ pattern: "^(?!os_glance_)[a-z0-9][a-z0-9_-]{0,62}$" }),
          type: Type.Union([Type.Literal("file"), Type.Literal("http")]),
          directory: Type.Optional(Type.String({ maxLength: 1024 })),
          description: Type.Optional(Type.String({ maxLength: 255 })),
          weight: Type.Optional(Type.Integer({ minimum: -(2 ** 31), maximum: 2 ** 31 - 1 })),
        },
        { additionalProperties: false },
      ),
      {
        default: [],
        maxItems: 32,
        description:
          "Stores beside `file`, as `{id, type, directory, description, weight}`. `file`: another directory, which " +
          "all API and worker hosts share. `http`: data stay at the addresses that users name, under the rules of " +
          "web-download, and are only read. Data that lie in several stores are read from that of the highest weight.",
      },
    ),
    defaultStore: Type.String({
      default: "file",
      description: "Store of data for which nobody names one.",
    }),
    showMultipleLocations: Type.Boolean({
      default: false,
      description: "Whether images show where their data are, and users may change that (policies allowing).",
    }),
    showDirectUrl: Type.Boolean({
      default: false,
      description: "Whether images show the best of the places of their data as `direct_url`.",
    }),
    locationMax: Type.Integer({
      default: 10,
      minimum: 1,
      description: "Places of the data of an image.",
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
      default: "refuse",
      description:
        "What happens to data that is not of the declared disk format. `refuse`: the upload gets 415. `flag`: it is " +
        "kept, can be downloaded, and no machine boots it. Data that refers to other files, or says what nobody can " +
        "rely on, is always refused.",
    }),
    certificatesDir: Type.String({
      default: "",
      description:
        "Directory of the certificates that signatures of images are checked with, as `UUID.pem`. Empty: " +
        "`certificates` beside the main store. With several hosts all API and worker hosts must share it.",
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
    importPlugins: Type.Array(
      Type.Union([
        Type.Literal("image_decompression"),
        Type.Literal("image_conversion"),
        Type.Literal("inject_image_metadata"),
      ]),
      {
        default: [],
        uniqueItems: true,
        description:
          "What imports do to data before they are stored, always in this order: `image_decompression` unpacks gzip " +
          "data of images whose container format is `compressed`; `image_conversion` makes disks of another format " +
          "`conversionFormat`; `inject_image_metadata` gives images `injectProperties`.",
      },
    ),
    conversionFormat: Type.Union([Type.Literal("raw"), Type.Literal("qcow2")], {
      default: "qcow2",
      description: "Disk format that the plug-in image_conversion makes.",
    }),
    conversionTimeoutMs: Type.Integer({
      default: 1_800_000,
      minimum: 1000,
      maximum: 3_000_000,
      description: "Time that a conversion may take.",
    }),
    injectProperties: Type.Record(
      Type.String({ minLength: 1, maxLength: 255 }),
      Type.String({ maxLength: 2048 }),
      {
        default: {},
        description: "Properties that the plug-in inject_image_metadata gives imported images, by name.",
      },
    ),
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
  (image) => {
    readRanges(image.webDownloadCidrs, "image.webDownloadCidrs")
    checkStores(image)
  },
)

declare module "../platform/config/config.ts" {
  interface Config {
    readonly image: SectionOf<typeof imageConfig>
  }
}
