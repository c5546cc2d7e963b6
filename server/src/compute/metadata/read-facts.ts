// Gathers what a server's metadata are made of.
import { serverMetadataNetworks } from "../../network/index.ts"
import type { Platform } from "../../platform/context/context.ts"
import { newSecret } from "../../platform/ids/ids.ts"
import { readAdminPassword } from "../server/admin-password.ts"
import { readInjectedFiles } from "../server/injected-file.ts"
import { instanceNameOf, type Server } from "../server/server.ts"
import { diskDevicesOf } from "../server/vm-spec.ts"
import type { MetadataFacts } from "./facts.ts"

const randomSeedBytes = 512

export async function metadataFacts(platform: Platform, server: Server): Promise<MetadataFacts> {
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
    reservationId: server.reservationId,
    securityGroups: server.securityGroups.length > 0 ? server.securityGroups : ["default"],
    randomSeed: Buffer.from(newSecret(randomSeedBytes), "base64url").toString("base64"),
    networks: await serverMetadataNetworks(platform, server.id),
    adminPassword: await readAdminPassword(platform, server.id),
  }
}
