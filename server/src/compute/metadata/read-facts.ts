// Gathers what a server's metadata are made of.
import { randomBytes } from "node:crypto"
import { serverMetadataNetworks } from "../../network/index.ts"
import type { Platform } from "../../platform/context/context.ts"
import { readAdminPassword } from "../server/admin-password.ts"
import { type MachineVolume, machineVolumes } from "../server/block-device.ts"
import { readInjectedFiles } from "../server/injected-file.ts"
import { instanceNameOf, type Server } from "../server/server.ts"
import { diskDevicesOf } from "../server/vm-spec.ts"
import type { MetadataFacts } from "./facts.ts"

const randomSeedBytes = 512

/** `volumes`: where they are known already. */
export async function metadataFacts(
  platform: Platform,
  server: Server,
  volumes?: readonly MachineVolume[],
): Promise<MetadataFacts> {
  return {
    serverId: server.id,
    instanceName: instanceNameOf(server),
    number: server.number,
    name: server.name,
    hostname: server.hostname,
    dhcpDomain: platform.config.compute.dhcpDomain,
    projectId: server.projectId,
    launchIndex: server.launchIndex,
    availabilityZone: server.availabilityZone ?? platform.config.compute.defaultAvailabilityZone,
    metadata: server.metadata,
    keyName: server.keyName,
    publicKey: server.publicKey,
    keyType: server.keyType,
    userData: server.userData,
    injectedFiles: await readInjectedFiles(platform.db, server.id),
    imageId: server.imageId,
    kernelId: server.kernelId,
    ramdiskId: server.ramdiskId,
    flavorName: server.flavor.name,
    disks: diskDevicesOf(server),
    volumes: (volumes ?? (await machineVolumes(platform.db, server))).map(({ device }) => ({
      volumeId: device.volumeId,
      device: device.deviceName,
      isRoot: device.bootIndex === 0,
      tag: device.tag,
    })),
    reservationId: server.reservationId,
    securityGroups: server.securityGroups.length > 0 ? server.securityGroups : ["default"],
    randomSeed: randomBytes(randomSeedBytes).toString("base64"),
    networks: await serverMetadataNetworks(platform, server.id),
    adminPassword: await readAdminPassword(platform, server.id),
  }
}
