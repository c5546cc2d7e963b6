import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { placementService } from "../src/placement/service.ts"
import { newUuid } from "../src/platform/ids/ids.ts"
import { type ServiceCloud, type ServiceReply, startServices } from "./service-cloud.ts"

let cloud: ServiceCloud
before(async () => {
  cloud = await startServices({ services: [placementService] })
})
after(async () => {
  await cloud[Symbol.asyncDispose]()
})

function send(method: string, path: string, body?: unknown, version = "1.39", as = "p:admin,service") {
  const headers = { "openstack-api-version": `placement ${version}` }
  return cloud.request(method, `/placement${path}`, { as, body, headers })
}

async function addProvider(inventories: Record<string, unknown> = {}, parent?: string): Promise<string> {
  const uuid = newUuid()
  const body = { name: `rp-${uuid}`, uuid, ...(parent ? { parent_provider_uuid: parent } : {}) }
  assert.equal((await send("POST", "/resource_providers", body)).status, 200)
  const put = { resource_provider_generation: 0, inventories }
  assert.equal((await send("PUT", `/resource_providers/${uuid}/inventories`, put)).status, 200)
  return uuid
}

const allocate = (
  consumer: string,
  allocations: Record<string, Record<string, number>>,
  generation: number | null,
): Promise<ServiceReply> =>
  send("PUT", `/allocations/${consumer}`, {
    allocations: Object.fromEntries(
      Object.entries(allocations).map(([id, resources]) => [id, { resources }]),
    ),
    project_id: "proj",
    user_id: "user",
    consumer_generation: generation,
    consumer_type: "INSTANCE",
  })

const codeOf = (reply: ServiceReply) => reply.body.errors[0].code

test("aggregates come back in the form in which they were sent, and are found in both", async () => {
  const provider = await addProvider()
  const [dashed, hex] = [newUuid(), newUuid().replaceAll("-", "")]
  const body = { aggregates: [dashed, hex], resource_provider_generation: 1 }
  const path = `/resource_providers/${provider}/aggregates`
  assert.deepEqual((await send("PUT", path, body)).body.aggregates, [dashed, hex])
  assert.deepEqual((await send("GET", path)).body.aggregates.sort(), [dashed, hex].sort())
  for (const id of [dashed, hex]) {
    const found = (await send("GET", `/resource_providers?member_of=${id}`)).body.resource_providers
    assert.deepEqual(
      found.map((each: { uuid: string }) => each.uuid),
      [provider],
    )
  }
})

describe("discovery and who may", () => {
  test("the root needs no token; all else needs the role", async () => {
    const root = await cloud.request("GET", "/placement")
    assert.equal(root.status, 200)
    assert.equal(root.body.versions[0].max_version, "1.39")
    assert.equal((await cloud.request("GET", "/placement/resource_providers")).status, 401)
    assert.equal((await send("GET", "/resource_providers", undefined, "1.39", "p:member")).status, 403)
    assert.equal((await send("GET", "/usages?project_id=p", undefined, "1.39", "p:reader")).status, 200)
    assert.equal((await send("GET", "/usages?project_id=q", undefined, "1.39", "p:reader")).status, 403)
    const refused = await send("GET", "/resource_providers", undefined, "1.99")
    assert.equal(refused.status, 406)
    assert.equal(refused.body.errors[0].max_version, "1.39")
  })
})

describe("providers", () => {
  test("trees grow, move and refuse loops", async () => {
    const [top, child] = [await addProvider(), newUuid()]
    const made = await send("POST", "/resource_providers", {
      name: child,
      uuid: child,
      parent_provider_uuid: top,
    })
    assert.equal(made.body.root_provider_uuid, top)
    const move = (parent: string | null, version?: string) =>
      send("PUT", `/resource_providers/${child}`, { name: child, parent_provider_uuid: parent }, version)
    assert.equal((await move(null, "1.36")).status, 400)
    assert.equal((await move(null)).body.root_provider_uuid, child)
    assert.equal((await move(top)).body.root_provider_uuid, top)
    const loop = await send("PUT", `/resource_providers/${top}`, { name: "t", parent_provider_uuid: child })
    assert.equal(loop.status, 400)
    const inTree = await send("GET", `/resource_providers?in_tree=${child}`)
    assert.equal(inTree.body.resource_providers.length, 2)
    const parentGone = await send("DELETE", `/resource_providers/${top}`)
    assert.equal(parentGone.status, 409)
    assert.equal(codeOf(parentGone), "placement.resource_provider.cannot_delete_parent")
    assert.equal((await send("DELETE", `/resource_providers/${child}`)).status, 204)
    assert.equal((await send("DELETE", `/resource_providers/${top}`)).status, 204)
  })

  test("a name is taken once", async () => {
    const replies = await Promise.all([1, 2].map(() => send("POST", "/resource_providers", { name: "same" })))
    assert.deepEqual(replies.map((r) => r.status).sort(), [200, 409])
    const lost = replies.find((r) => r.status === 409)
    assert.equal(lost && codeOf(lost), "placement.duplicate_name")
  })

  test("a change with an old generation is refused", async () => {
    const id = await addProvider({ VCPU: { total: 4 } })
    const put = (generation: number) =>
      send("PUT", `/resource_providers/${id}/traits`, {
        traits: ["COMPUTE_NODE"],
        resource_provider_generation: generation,
      })
    const replies = await Promise.all([put(1), put(1)])
    assert.deepEqual(replies.map((r) => r.status).sort(), [200, 409])
    const lost = replies.find((r) => r.status === 409)
    assert.equal(lost && codeOf(lost), "placement.concurrent_update")
    const unknown = { traits: ["CUSTOM_NONE"], resource_provider_generation: 2 }
    assert.equal((await send("PUT", `/resource_providers/${id}/traits`, unknown)).status, 400)
  })
})

describe("allocations", () => {
  test("are written with the generation of their consumer", async () => {
    const id = await addProvider({ VCPU: { total: 4 }, DISK_GB: { total: 100, step_size: 10, min_unit: 10 } })
    const consumer = newUuid()
    assert.equal((await allocate(consumer, { [id]: { VCPU: 1 } }, 5)).status, 409)
    assert.equal((await allocate(consumer, { [id]: { VCPU: 2 } }, null)).status, 204)
    assert.equal((await allocate(consumer, { [id]: { VCPU: 2 } }, null)).status, 409)
    assert.equal((await allocate(consumer, { [id]: { VCPU: 3, DISK_GB: 20 } }, 1)).status, 204)
    const { body } = await send("GET", `/allocations/${consumer}`)
    assert.deepEqual(body.allocations[id].resources, { DISK_GB: 20, VCPU: 3 })
    assert.equal(body.consumer_generation, 2)
    assert.equal((await allocate(consumer, { [id]: { DISK_GB: 15 } }, 2)).status, 409)
    assert.equal((await allocate(consumer, { [id]: { VCPU: 5 } }, 2)).status, 409)
    assert.equal((await allocate(consumer, { [newUuid()]: { VCPU: 1 } }, 2)).status, 400)
    assert.equal((await allocate(consumer, { [id]: { CUSTOM_NONE: 1 } }, 2)).status, 400)
    const usages = await send("GET", `/resource_providers/${id}/usages`)
    assert.deepEqual(usages.body.usages, { DISK_GB: 20, VCPU: 3 })
    assert.equal((await send("DELETE", `/resource_providers/${id}/inventories/VCPU`)).status, 409)
    assert.equal((await send("DELETE", `/resource_providers/${id}`)).status, 409)
    assert.equal((await send("DELETE", `/allocations/${consumer}`)).status, 204)
    assert.equal((await send("DELETE", `/allocations/${consumer}`)).status, 404)
    assert.equal((await send("DELETE", `/resource_providers/${id}`)).status, 204)
  })

  test("of many consumers at a time never exceed what there is", async () => {
    const id = await addProvider({ VCPU: { total: 5 } })
    const replies = await Promise.all(
      Array.from({ length: 12 }, () => allocate(newUuid(), { [id]: { VCPU: 1 } }, null)),
    )
    assert.equal(replies.filter((r) => r.status === 204).length, 5)
    assert.equal((await send("GET", `/resource_providers/${id}/usages`)).body.usages.VCPU, 5)
  })

  test("move with the inventory in one step", async () => {
    const id = await addProvider({ VCPU: { total: 4 } })
    const child = await addProvider({}, id)
    const consumer = newUuid()
    await allocate(consumer, { [id]: { VCPU: 2 } }, null)
    const generation = async (p: string) => (await send("GET", `/resource_providers/${p}`)).body.generation
    const reshaped = await send("POST", "/reshaper", {
      inventories: {
        [id]: { resource_provider_generation: await generation(id), inventories: {} },
        [child]: {
          resource_provider_generation: await generation(child),
          inventories: { VCPU: { total: 4 } },
        },
      },
      allocations: {
        [consumer]: {
          allocations: { [child]: { resources: { VCPU: 2 } } },
          project_id: "proj",
          user_id: "user",
          consumer_generation: 1,
          consumer_type: "INSTANCE",
        },
      },
    })
    assert.equal(reshaped.status, 204, JSON.stringify(reshaped.body))
    assert.deepEqual((await send("GET", `/resource_providers/${id}/usages`)).body.usages, {})
    assert.deepEqual((await send("GET", `/resource_providers/${child}/usages`)).body.usages, { VCPU: 2 })
  })
})

describe("candidates", () => {
  test("are such that they can be written as they are", async () => {
    const id = await addProvider({ CUSTOM_NONE: { total: 1 } }).catch(() => undefined)
    assert.equal(id, undefined, "the class does not exist yet")
    assert.equal((await send("PUT", "/resource_classes/CUSTOM_SEAT")).status, 201)
    assert.equal((await send("PUT", "/resource_classes/CUSTOM_SEAT")).status, 204)
    const provider = await addProvider({ CUSTOM_SEAT: { total: 2 } })
    const { body } = await send("GET", "/allocation_candidates?resources=CUSTOM_SEAT:2")
    assert.equal(body.allocation_requests.length, 1)
    assert.deepEqual(body.allocation_requests[0].mappings, { "": [provider] })
    assert.deepEqual(body.provider_summaries[provider].resources, { CUSTOM_SEAT: { capacity: 2, used: 0 } })
    const request = { ...body.allocation_requests[0], project_id: "proj", user_id: "user" }
    const write = await send("PUT", `/allocations/${newUuid()}`, {
      ...request,
      consumer_generation: null,
      consumer_type: "INSTANCE",
    })
    assert.equal(write.status, 204)
    const again = await send("GET", "/allocation_candidates?resources=CUSTOM_SEAT:1")
    assert.deepEqual(again.body.allocation_requests, [])
    assert.equal((await send("GET", "/allocation_candidates?resources=CUSTOM_NO:1")).status, 400)
    assert.equal((await send("GET", "/allocation_candidates?resources=VCPU")).status, 400)
    assert.equal((await send("GET", "/allocation_candidates?resources=VCPU:1&bogus=1")).status, 400)
    assert.equal((await send("DELETE", "/resource_classes/CUSTOM_SEAT")).status, 409)
  })
})
