// What is told of answers is true at every microversion: each that a route tells otherwise is asked for, by who may see
// everything and by who may not. APIs without microversions are asked once. The cloud's end fails the test where an
// answer is not as it is told (witness.ts).
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { apisOf } from "../src/engine/service.ts"
import {
  formatMicroversion,
  type Microversion,
  parseMicroversion,
} from "../src/platform/http/microversion.ts"
import { schemasOf } from "../src/platform/http/versions.ts"
import type { Api, Route } from "../src/platform/http/wire.ts"
import { services } from "../src/services.ts"
import { callerOf, contextOf } from "./saga-case.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"
import { makeVolume } from "./volume-cloud.ts"

let c: ServerCloud
/** What the paths' parameters name; two for what has a number in old versions. */
let named: Record<string, string>
let numbers: Record<string, string>
const asAdmin = () => ({ token: c.admin })

before(async () => {
  c = await startServerCloud()
  const key = { keypair: { name: "key" } }
  for (const token of [c.demo, c.admin]) await c.call("POST", "/os-keypairs", key, { version: "2.91", token })
  const server_id = await c.create({ metadata: { role: "web" }, tags: ["x"], key_name: "key" })
  await c.reaches(server_id, "ACTIVE")
  const all = async (path: string, version = "2.96") =>
    (await c.call("GET", path, undefined, { token: c.admin, version })).body
  const group = { server_group: { name: "g", policy: "affinity" } }
  const made = await c.call("POST", "/os-server-groups", group)
  const aggregate = await c.call("POST", "/os-aggregates", { aggregate: { name: "rack" } }, asAdmin())
  const { hypervisors } = await all("/os-hypervisors")
  const old = await all("/os-hypervisors", "2.1")
  const { interfaceAttachments } = await all(`/servers/${server_id}/os-interface`)
  const { instanceActions } = await all(`/servers/${server_id}/os-instance-actions`)
  const ctx = contextOf(c.cloud.cloud.platform, await callerOf(c))
  const volume_id = await makeVolume(c, ctx, { metadata: { role: "data" } })
  const volumeAttachment = { volumeId: volume_id, tag: "data" }
  const attached = await c.call("POST", `/servers/${server_id}/os-volume_attachments`, { volumeAttachment })
  assert.equal(attached.status, 200)
  const [free, offered] = [await makeVolume(c, ctx), await makeVolume(c, ctx)]
  const ofVolumes = await nameOfVolumes(volume_id, free, offered)
  const { security_groups } = await all("/os-security-groups", "2.1")
  const { tenant_id } = await c.show(server_id, asAdmin())
  named = {
    ...ofVolumes,
    ...{ server_id, volume_id },
    ...{ key: "role", tag: "x", name: "key", id: "default", network_label: "private" },
    ...{ flavor_id: c.flavorId, image_id: c.imageId, host_name: "host1", pattern: "host1" },
    ...{ project_id: tenant_id, tenant_id, consumer_uuid: server_id, resource_class: "VCPU" },
    port_id: interfaceAttachments[0].port_id,
    request_id: instanceActions[0].request_id,
    server_group_id: made.body.server_group.id,
    aggregate_id: String(aggregate.body.aggregate.id),
    security_group_id: security_groups[0].id,
    ...{ hypervisor_id: hypervisors[0].id, uuid: hypervisors[0].id },
    namespace: "told",
    version_id: "v2.1",
    ...{ alias: "os-quota-sets", before_timestamp: "2026-01-01 00:00:00" },
  }
  numbers = { hypervisor_id: String(old.hypervisors[0].id) }
  const parts = {
    objects: [{ name: "key" }],
    properties: { key: { title: "Key", type: "string" } },
    tags: [{ name: "key" }],
    resource_type_associations: [{ name: "OS::Nova::Server" }],
  }
  const body = { namespace: "told", visibility: "public", ...parts }
  const { status } = await c.cloud.request("POST", "/image/v2/metadefs/namespaces", { ...asAdmin(), body })
  assert.equal(status, 201)
})
after(async () => {
  await c[Symbol.asyncDispose]()
})

/** One of each other thing of block storage. */
async function nameOfVolumes(
  volumeId: string,
  free: string,
  offered: string,
): Promise<Record<string, string>> {
  const headers = { "openstack-api-version": "volume 3.70" }
  const post = async (path: string, body: unknown, token = c.demo) => {
    const reply = await c.cloud.request("POST", `/volume/v3${path}`, { token, body, headers })
    assert.ok(reply.status < 300, JSON.stringify(reply.body))
    return reply.body
  }
  const wish = { volume_id: volumeId, metadata: { role: "then" } }
  const { snapshot } = await post("/snapshots", { snapshot: wish })
  const { transfer } = await post("/os-volume-transfer", { transfer: { volume_id: offered, name: "t" } })
  const { attachment } = await post("/attachments", { attachment: { volume_uuid: free } })
  const type = { volume_type: { name: "told", extra_specs: { role: "x" } } }
  const { volume_type } = await post("/types", type, c.admin)
  const { backup } = await post("/backups", {
    backup: { volume_id: volumeId, snapshot_id: snapshot.id, force: true },
  })
  const kind = { group_type: { name: "told", group_specs: { role: "x" } } }
  const { group_type } = await post("/group_types", kind, c.admin)
  const { group } = await post("/groups", { group: { group_type: "told", volume_types: ["__DEFAULT__"] } })
  const { qos_specs } = await post("/qos-specs", { qos_specs: { name: "told" } }, c.admin)
  return {
    ...{ snapshot_id: snapshot.id, transfer_id: transfer.id, attachment_id: attachment.id },
    ...{ type_id: volume_type.id, class_name: "default", host: "host1@fake" },
    ...{ backup_id: backup.id, group_type_id: group_type.id, qos_id: qos_specs.id },
    ...{ group_id: group.id, consistencygroup_id: group.id },
  }
}

/** The lowest that the route is served at, and each that changes its answer. */
function versionsToAsk({ microversions }: Api, { min, max, told }: Route): string[] {
  const numberOf = ({ major, minor }: Microversion) => major * 1000 + minor
  const of = (text: string) => numberOf(parseMicroversion(text) ?? { major: 0, minor: 0 })
  const least = min ?? microversions?.min ?? ""
  const most = of(max ?? microversions?.max ?? "")
  const changes = schemasOf(told?.answer ?? {}).flatMap(({ from }) =>
    from && numberOf(from) > of(least) && numberOf(from) <= most ? [formatMicroversion(from)] : [],
  )
  return [least, ...changes]
}

function pathOf(path: string, version: string): string | undefined {
  const isOld = (parseMicroversion(version)?.minor ?? 0) < 53
  const ids = isOld ? { ...named, ...numbers } : named
  const filled = path.replaceAll(/\{(\w+)\}/g, (all, name: string) => ids[name] ?? all)
  return filled.includes("{") ? undefined : filled
}

/** Nothing of the kind is there, or its parameter means something else than above. */
const notAsked = [
  ...["/flavors/{flavor_id}/os-extra_specs/{key}", "/images/{image_id}/metadata/{key}"],
  ...["/os-networks/{network_id}", "/os-tenant-networks/{network_id}", "/os-floating-ips/{floating_ip_id}"],
  ...["/resource_classes/{name}", "/flavors/{flavor_id}/os-flavor-access"],
  ...["/os-console-auth-tokens/{console_token}", "/images/{image_id}/members"],
  ...["/messages/{message_id}", "/default-types/{project_id}", "/types/{type_id}/os-volume-type-access"],
  ...["/clusters/{cluster_name}", "/group_snapshots/{group_snapshot_id}", "/cgsnapshots/{cgsnapshot_id}"],
  ...["/backups/{backup_id}/export_record", "/group_types/default", "/images/{image_id}/locations"],
  ...["/types/{type_id}/encryption/{encryption_id}", "/servers/{server_id}/migrations/{migration_id}"],
]

/** What a path does not come without. */
const queries = (): Readonly<Record<string, string>> => ({
  "/allocation_candidates": "?resources=VCPU:1",
  "/usages": `?project_id=${named.project_id}`,
  "/auto-allocated-topology": "?fields=dry-run",
  "/auto-allocated-topology/{project_id}": "?fields=dry-run",
  ...Object.fromEntries(
    ["manageable_volumes", "manageable_snapshots", "os-volume-manage", "os-snapshot-manage"].flatMap((name) =>
      [`/${name}`, `/${name}/detail`].map((path) => [path, "?host=host1%40fake"]),
    ),
  ),
})

/** Other words in the place of an id. */
const wordPaths: Readonly<Record<string, readonly string[]>> = {
  network: ["/quotas/tenant", "/quotas/project"],
}

async function ask(url: string, version: string, headers: Record<string, string>): Promise<string[]> {
  const problems: string[] = []
  for (const token of [c.admin, c.demo]) {
    const { status, body } = await c.cloud.request("GET", url, { token, headers })
    const isFine = status === 200 || (token === c.demo && [400, 403, 404].includes(status))
    if (!isFine) problems.push(`${url} at ${version}: ${status} ${JSON.stringify(body)}`)
  }
  return problems
}

const toldReads = ({ routes }: Api) =>
  routes.filter(
    ({ method, told, path, aliasOf }) =>
      method === "GET" && told?.answer !== undefined && aliasOf === undefined && !notAsked.includes(path),
  )

for (const service of ["compute", "placement", "block-storage"]) {
  test(`${service}: answers are as told at every microversion`, async () => {
    const [api] = apisOf(services).filter((each) => each.service === service)
    assert.ok(api?.microversions)
    const { serviceType } = api.microversions
    const problems: string[] = []
    for (const route of toldReads(api)) {
      for (const version of versionsToAsk(api, route)) {
        const path = pathOf(route.path, version)
        assert.ok(path, `nothing is named for ${route.path}`)
        const url = `${api.mounts[0]}${api.version}${path}${queries()[route.path] ?? ""}`
        problems.push(...(await ask(url, version, { "openstack-api-version": `${serviceType} ${version}` })))
      }
    }
    assert.deepEqual(problems, [])
  })
}

for (const service of ["network", "image"]) {
  test(`${service}: answers are as told`, async () => {
    const [api] = apisOf(services).filter((each) => each.service === service)
    assert.ok(api)
    // Those of things that are not named above are asked by the tests of the things.
    const paths = toldReads(api).flatMap(({ path }) => {
      const filled = pathOf(path.replace("{alias}", "quotas"), "")
      return filled === undefined ? [] : [`${filled}${queries()[path] ?? ""}`]
    })
    const problems: string[] = []
    for (const path of [...paths, ...(wordPaths[service] ?? [])])
      problems.push(...(await ask(`${api.mounts[0]}${api.version}${path}`, "any", {})))
    assert.deepEqual(problems, [])
  })
}
