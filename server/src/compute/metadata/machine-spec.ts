import type { VifSpec, VmSpec } from "../../agent/protocol.ts"
import type { Platform } from "../../platform/context/context.ts"
import { machineVolumes } from "../server/block-device.ts"
import type { Server } from "../server/server.ts"
import { vmSpecOf } from "../server/vm-spec.ts"
import { configDriveFiles } from "./files.ts"
import { metadataFacts } from "./read-facts.ts"

/** The machine that the row asks for, with its config drive when it has one. */
export async function machineSpec(
  platform: Platform,
  server: Server,
  vifs: readonly VifSpec[],
): Promise<VmSpec> {
  const volumes = await machineVolumes(platform.db, server)
  const configDrive = server.hasConfigDrive
    ? configDriveFiles(await metadataFacts(platform, server, volumes))
    : null
  return vmSpecOf(server, vifs, volumes, configDrive)
}
