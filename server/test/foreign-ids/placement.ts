import { randomUUID } from "node:crypto"
import { idOf, type ServiceFixture, type Side, thing, type World, word } from "./fixture.ts"

const headers = { "openstack-api-version": "placement 1.39" }

/** All of it is the operator's; what is held there has an owner. */
async function make(side: Side, world: World): Promise<void> {
  const get = async (path: string) =>
    await world.make(world.admin, "GET", `/placement${path}`, undefined, headers)
  side.things.set("resource_provider", (await get("/resource_providers")).resource_providers[0].uuid)
  side.things.set("consumer", idOf(side, "server"))
}

export const placementFixture: ServiceFixture = {
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
    "PUT /allocations/{consumer_uuid}": (side: Side) => ({
      allocations: { [idOf(side, "resource_provider")]: { resources: { VCPU: 1 } } },
      project_id: side.projectId,
      user_id: side.userId,
      consumer_generation: null,
      consumer_type: "INSTANCE",
    }),
    "POST /allocations": (side: Side) => ({
      [randomUUID()]: {
        allocations: { [idOf(side, "resource_provider")]: { resources: { VCPU: 1 } } },
        project_id: side.projectId,
        user_id: side.userId,
        consumer_generation: null,
        consumer_type: "INSTANCE",
      },
    }),
  },
  allowed: [],
}
