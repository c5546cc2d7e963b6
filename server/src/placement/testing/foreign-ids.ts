import { randomUUID } from "node:crypto"
import {
  idOf,
  type ServiceFixture,
  type Side,
  thing,
  type World,
  word,
} from "../../../test/foreign-ids/fixture.ts"

const headers = { "openstack-api-version": "placement 1.39" }

const allocations = (side: Side) => ({
  allocations: { [idOf(side, "resource_provider")]: { resources: { VCPU: 1 } } },
  project_id: side.projectId,
  user_id: side.userId,
  consumer_generation: null,
  consumer_type: "INSTANCE",
})

/** All of it is the operator's; what is held there has an owner. */
async function make(side: Side, world: World): Promise<void> {
  const call = async (method: string, path: string, body?: unknown) =>
    await world.make(world.admin, method, `/placement${path}`, body, headers)
  const { resource_providers } = await call("GET", "/resource_providers")
  side.things.set("resource_provider", resource_providers[0].uuid)
  const consumer = randomUUID()
  await call("PUT", `/allocations/${consumer}`, allocations(side))
  side.things.set("consumer", consumer)
}

export const foreignIds: ServiceFixture = {
  service: "placement",
  make,
  params: {
    uuid: thing("resource_provider"),
    consumer_uuid: thing("consumer"),
    resource_class: word("VCPU"),
    name: word("CUSTOM_X"),
  },
  fields: {
    "POST /resource_providers uuid": word("the id that a new provider shall have"),
    parent_provider_uuid: thing("resource_provider"),
    project_id: thing("project"),
    user_id: thing("user"),
  },
  bodies: {
    "PUT /allocations/{consumer_uuid}": allocations,
    "POST /allocations": (side: Side) => ({ [randomUUID()]: allocations(side) }),
  },
  allowed: [],
}
