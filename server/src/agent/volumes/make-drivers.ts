// The back ends of volumes of a host, as its configuration names them.
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import type { Clock } from "../../platform/clock/clock.ts"
import { badConfig } from "../../platform/config/config.ts"
import type { VolumeBackEnd } from "./back-end-kinds.ts"
import { FakeVolumeDriver } from "./fake-driver.ts"
import { FileVolumeDriver } from "./file-driver.ts"
import { IscsiVolumeDriver } from "./iscsi-driver.ts"
import { NfsVolumeDriver } from "./nfs-driver.ts"
import { RbdVolumeDriver } from "./rbd-driver.ts"
import type { VolumeDriver } from "./volume-driver.ts"

export interface MakeDriversOptions {
  /** As configured; none: one of the host's own. */
  backEnds: readonly VolumeBackEnd[]
  /** Whether machines are simulated: then volumes are, too. */
  isSimulated: boolean
  /** What lies in the host's data directory has a directory of the back end's name in this one. */
  volumesDir: string
  host: string
  /** Whether QEMU's user gets to the path. */
  canReach: (path: string) => boolean
  /** Of tgtd, for back ends that give volumes to other hosts. */
  tgtd: {
    socket: (backEnd: string) => string
    user: { uid: number; gid: number } | null
    /** As `canReach`. */
    canReach: (path: string) => boolean
  }
  clock: Clock
}

export function makeDrivers(options: MakeDriversOptions): VolumeDriver[] {
  return backEndsOf(options).map((backEnd, index) => {
    if ((backEnd.kind === "fake") !== options.isSimulated) {
      const why = options.isSimulated
        ? "machines are simulated here, so volumes are `fake`"
        : "simulated volumes are for simulated machines"
      throw badConfig(`agent.volumeBackEnds.${index}.kind`, why)
    }
    if (
      backEnd.kind !== "fake" &&
      "directory" in backEnd &&
      backEnd.directory !== undefined &&
      !options.canReach(backEnd.directory)
    )
      throw badConfig(
        `agent.volumeBackEnds.${index}.directory`,
        `QEMU's user cannot enter ${backEnd.directory}: it and those above it need the right x for others`,
      )
    if (backEnd.kind === "iscsi" && backEnd.portal !== undefined) {
      const directory = backEnd.directory ?? join(options.volumesDir, backEnd.name)
      if (!options.tgtd.canReach(directory))
        throw badConfig(
          `agent.volumeBackEnds.${index}.directory`,
          `tgtd's user cannot enter ${directory}: name one where it and those above it have the right x for others`,
        )
    }
    return makeDriver(backEnd, options)
  })
}

/** Directories of back ends that were configured once: what lies there cannot be reached now. */
export function forgottenBackEnds(
  options: Pick<MakeDriversOptions, "backEnds" | "isSimulated" | "volumesDir">,
) {
  const { volumesDir } = options
  if (!existsSync(volumesDir)) return []
  const known = new Set(backEndsOf(options).map(({ name }) => name))
  return readdirSync(volumesDir).filter(
    (name) => !known.has(name) && readdirSync(join(volumesDir, name)).length > 0,
  )
}

function backEndsOf({ backEnds, isSimulated }: Pick<MakeDriversOptions, "backEnds" | "isSimulated">) {
  if (backEnds.length > 0) return backEnds
  const own: VolumeBackEnd = isSimulated ? { name: "fake", kind: "fake" } : { name: "file", kind: "file" }
  return [own]
}

function makeDriver(backEnd: VolumeBackEnd, options: MakeDriversOptions): VolumeDriver {
  const { clock, host, volumesDir } = options
  const { name } = backEnd
  const own = join(volumesDir, name)
  switch (backEnd.kind) {
    case "fake":
      return new FakeVolumeDriver({
        ...{ name, file: join(own, "volumes.json"), clock },
        ...(backEnd.directory === undefined ? {} : { directory: backEnd.directory }),
      })
    case "file":
      return new FileVolumeDriver(backEnd.directory ?? own, { name })
    case "iscsi":
      return new IscsiVolumeDriver({
        ...{ name, directory: backEnd.directory ?? own, reachedDir: join(own, "reached") },
        target:
          backEnd.portal === undefined
            ? null
            : {
                portal: withPort(backEnd.portal),
                socketPath: options.tgtd.socket(name),
                user: options.tgtd.user,
              },
      })
    case "nfs":
      return new NfsVolumeDriver({
        ...{ name, host },
        directory: backEnd.directory.replace(/\/+$/, ""),
        source: backEnd.source ?? null,
      })
    case "rbd":
      return new RbdVolumeDriver({
        ...{ name, host, dir: own },
        ...{ pool: backEnd.pool, user: backEnd.user, keyringFile: backEnd.keyringFile },
        configFile: backEnd.configFile ?? "/etc/ceph/ceph.conf",
      })
  }
}

/** The one that IANA has for it. */
const withPort = (portal: string) => (portal.includes(":") ? portal : `${portal}:3260`)
