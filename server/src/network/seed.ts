// First-start content: the way out, and for the demo project a network behind a router.
import { sql } from "kysely"
import { listProjects } from "../identity/index.ts"
import { internalCaller } from "../platform/auth/caller.ts"
import { type Ctx, internalCtx, makeCtx, type Platform } from "../platform/context/context.ts"
import { newRequestId } from "../platform/ids/ids.ts"
import { createNetworks } from "./network/create.ts"
import { createRouters } from "./router/create.ts"
import { addRouterInterface } from "./router/interface.ts"
import { createSubnets } from "./subnet/create.ts"
import { createSubnetPools } from "./subnet-pool/subnet-pool.ts"

export async function seedNetwork(platform: Platform): Promise<void> {
  const { rows } = await sql`select from network.network limit 1`.execute(platform.db)
  if (rows.length > 0) return
  const projects = await listProjects(internalCtx(platform), {})
  const idOf = (name: string) =>
    projects.items.find((project) => project.name === name && project.domainId === "default")?.id
  const admin = idOf("admin")
  const demo = idOf("demo")
  if (!admin) return
  const ctx = administratorOf(platform, admin)
  const publicId = await makePublic(ctx, admin)
  await makeDefaultPool(ctx, admin)
  if (demo) await makePrivate(ctx, demo, publicId)
}

/** Network rules ask for a project; the program itself has none. */
function administratorOf(platform: Platform, projectId: string): Ctx {
  const caller = { ...internalCaller, projectId, systemScope: null }
  return makeCtx(platform, caller, newRequestId(), platform.config.publicUrl)
}

async function makePublic(ctx: Ctx, projectId: string): Promise<string> {
  const config = ctx.config.network
  const [network] = await createNetworks(ctx, {
    items: [
      {
        projectId,
        name: "public",
        routerExternal: true,
        isDefault: true,
        providerNetworkType: "flat",
        providerPhysicalNetwork: "public",
      },
    ],
  })
  if (!network) throw new Error("the external network was not made")
  await createSubnets(ctx, {
    items: [
      {
        projectId,
        networkId: network.id,
        name: "public-subnet",
        ipVersion: 4,
        cidr: config.publicCidr,
        gatewayIp: config.publicGateway,
        enableDhcp: false,
        allocationPools: [{ start: config.publicPoolStart, end: config.publicPoolEnd }],
      },
    ],
  })
  return network.id
}

/** What a project gets that asks for any network (`openstack server create --nic auto`) is cut from it. */
async function makeDefaultPool(ctx: Ctx, projectId: string): Promise<void> {
  await createSubnetPools(ctx, {
    items: [
      {
        projectId,
        name: "shared-default-subnetpool-v4",
        prefixes: [ctx.config.network.defaultPoolCidr],
        defaultPrefixlen: 26,
        isDefault: true,
        shared: true,
      },
    ],
  })
}

async function makePrivate(ctx: Ctx, projectId: string, publicId: string): Promise<void> {
  const config = ctx.config.network
  const [network] = await createNetworks(ctx, { items: [{ projectId, name: "private" }] })
  if (!network) throw new Error("the private network was not made")
  const [subnet] = await createSubnets(ctx, {
    items: [
      {
        projectId,
        networkId: network.id,
        name: "private-subnet",
        ipVersion: 4,
        cidr: config.privateCidr,
        dnsNameservers: config.dnsNameservers,
      },
    ],
  })
  const [router] = await createRouters(ctx, {
    items: [{ projectId, name: "router1", externalGatewayInfo: { networkId: publicId } }],
  })
  if (!subnet || !router) throw new Error("the private subnet or its router was not made")
  await addRouterInterface(ctx, { routerId: router.id, subnetId: subnet.id })
}
