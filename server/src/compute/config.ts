import { Type } from "typebox"
import "./console/config.ts"
import { configSection, type SectionOf } from "../platform/config/config.ts"
import { scheduleConfig } from "./schedule/config.ts"

const count = (value: number, description: string) =>
  Type.Integer({ default: value, minimum: 0, description })

export const computeConfig = configSection(
  "compute",
  Type.Object({
    quota: Type.Object(
      {
        instances: Type.Integer({ default: 10, minimum: -1, description: "Servers of a project." }),
        cores: Type.Integer({ default: 20, minimum: -1, description: "Virtual CPUs of a project." }),
        ram: Type.Integer({ default: 51_200, minimum: -1, description: "MiB of memory of a project." }),
        metadataItems: Type.Integer({
          default: 128,
          minimum: -1,
          description: "Metadata items of a server.",
        }),
        injectedFiles: Type.Integer({
          default: 5,
          minimum: -1,
          description: "Files that a request gives a guest (until microversion 2.56).",
        }),
        injectedFileContentBytes: Type.Integer({
          default: 10_240,
          minimum: -1,
          description: "Base64 text of such a file.",
        }),
        injectedFilePathLength: Type.Integer({
          default: 255,
          minimum: -1,
          description: "Path of such a file.",
        }),
        keyPairs: Type.Integer({ default: 100, minimum: -1, description: "Key pairs of a user." }),
        serverGroups: Type.Integer({ default: 10, minimum: -1, description: "Server groups of a project." }),
        serverGroupMembers: Type.Integer({ default: 10, minimum: -1, description: "Servers of a group." }),
      },
      { description: "Default limits of a project; -1 is unlimited." },
    ),
    reclaimIntervalMs: Type.Integer({
      default: 0,
      minimum: 0,
      description:
        "A server that a user deletes is only switched off for so long, with all that it has, and may be restored " +
        "(`restore`); then it goes. 0: it goes at once. `forceDelete` does not wait.",
    }),
    deletedServersKeepMs: Type.Integer({
      default: 90 * 24 * 3_600_000,
      minimum: 60_000,
      description:
        "Deleted servers are kept this long, with their actions and migrations, and count in usage reports.",
    }),
    plugWaitMs: Type.Integer({
      default: 5_000,
      minimum: 0,
      maximum: 300_000,
      description:
        "How long one try to make a server waits until its host has connected its interfaces; it is ACTIVE then. After " +
        "some tries (`engine.sagaDoAttemptsMost`) another host is tried. 0: not waited for.",
    }),
    createServersMost: Type.Integer({
      default: 1_000,
      minimum: 1,
      maximum: 10_000,
      description:
        "Servers of one request (`max_count`), whatever the quota: they are made in one transaction.",
    }),
    defaultAvailabilityZone: Type.String({
      default: "nova",
      description: "Zone of hosts that are in no aggregate with a zone.",
    }),
    cpuAllocationRatio: Type.Number({ default: 4, description: "Virtual CPUs sold for each real one." }),
    ramAllocationRatio: Type.Number({ default: 1, description: "Memory sold for each MiB." }),
    diskAllocationRatio: Type.Number({ default: 1, description: "Disk sold for each GiB." }),
    hostAllocationRatios: Type.Record(
      Type.String(),
      Type.Partial(Type.Object({ cpu: Type.Number(), ram: Type.Number(), disk: Type.Number() })),
      {
        default: {},
        description:
          "The same of single hosts, by name: `{rack1: {cpu: 8}}`. An aggregate's metadata cpu_allocation_ratio, " +
          "ram_allocation_ratio and disk_allocation_ratio come before it; of several the smallest counts.",
      },
    ),
    reservedHostMemoryMib: count(512, "Memory of a host that is not sold."),
    serviceDownAfterMs: count(60_000, "A host that is silent for so long is down: it gets no new servers."),
    machineRemovalShare: Type.Number({
      default: 0.05,
      minimum: 0,
      maximum: 1,
      description:
        "Share of a host's machines that may be taken away in one pass because their servers are deleted or " +
        "unknown; one always may. More looks like an error of the database: none is, and `kumoi status` says so.",
    }),
    scheduleAttemptsMost: Type.Integer({
      default: 3,
      minimum: 1,
      description: "Hosts that a new server is tried on before it is in error.",
    }),
    schedule: scheduleConfig,
    agentCallTimeoutMs: count(120_000, "How long a host may take over a command."),
    agentStartTimeoutMs: count(600_000, "The same for making a machine, which may copy an image first."),
    agentCopyTimeoutMs: count(
      3_600_000,
      "The same for copying a server's disk, and for bringing the copy to the image store.",
    ),
    liveMigration: Type.Object(
      {
        downtimeMs: Type.Integer({
          default: 300,
          minimum: 1,
          maximum: 2_000_000,
          description:
            "How long a guest may stand still when it goes to another host, as far as that can be foreseen.",
        }),
        atOncePerHost: Type.Integer({
          default: 1,
          minimum: 0,
          description:
            "Servers that leave a host at a time while they run; others wait in order (`queued`). 0: all go at once. " +
            "Nova's max_concurrent_live_migrations.",
        }),
        bytesPerSecondMost: count(0, "Memory that is sent of one guest in a second. 0: as much as goes."),
        memoryTimeoutMs: count(
          3_600_000,
          "How long the memory of a guest may take; then the guest stays where it is. It is slowed down when it " +
            "changes faster than it can be sent.",
        ),
      },
      { default: {} },
    ),
    stopGraceMs: count(60_000, "How long a guest may take to shut down by itself before it is switched off."),
    listLimitMost: Type.Integer({
      default: 1_000,
      minimum: 1,
      description: "Servers in one page at the most.",
    }),
    userDataBytesMost: count(65_535, "Base64 text of user data at the most."),
    enableInstancePassword: Type.Boolean({
      default: true,
      description:
        "Whether the answers to creations, rebuilds and rescues have adminPass. The guest gets it anyway.",
    }),
    adminPasswordKeptMs: count(3_600_000, "How long a new machine's metadata have admin_pass for its guest."),
    dhcpDomain: Type.String({ default: "novalocal", description: "Domain of hostnames in the metadata." }),
  }),
)

declare module "../platform/config/config.ts" {
  interface Config {
    readonly compute: SectionOf<typeof computeConfig>
  }
}
