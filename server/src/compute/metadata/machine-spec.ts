import type { VifSpec, VmSpec } from "../../agent/protocol.ts"
import type { Platform } from "../../platform/context/context.ts"
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
  const configDrive = server.hasConfigDrive ? configDriveFiles(await metadataFacts(platform, server)) : null
  return vmSpecOf(server, vifs, configDrive)
}
