import {
  idOf,
  type ServiceFixture,
  type Side,
  secretName,
  thing,
  type World,
  word,
} from "../../../test/foreign-ids/fixture.ts"

const v2 = "/image/v2"

async function make(side: Side, world: World): Promise<void> {
  const { things, token } = side
  const name = secretName(side)
  const image = { name, disk_format: "raw", container_format: "bare", visibility: "shared" }
  const { id } = await world.make(token, "POST", `${v2}/images`, image)
  things.set("image", id)
  await fetch(`${world.cloud.cloud.baseUrl}${v2}/images/${id}/file`, {
    method: "PUT",
    headers: { "x-auth-token": token, "content-type": "application/octet-stream" },
    body: "data of a disk",
  })
  // Shared with a third party: neither side is.
  const member = await world.make(token, "POST", `${v2}/images/${id}/members`, {
    member: `friend-of-${name}`,
  })
  things.set("image_member", member.member_id)
  const task = {
    type: "import",
    input: {
      import_from: "http://127.0.0.1:9/none",
      import_from_format: "raw",
      image_properties: { name, disk_format: "raw", container_format: "bare" },
    },
  }
  const made = await world.send(world.admin, "POST", `${v2}/tasks`, task)
  things.set("task", made.body.id ?? "none")
  const namespace = { namespace: name, visibility: "private", owner: side.projectId }
  await world.make(world.admin, "POST", `${v2}/metadefs/namespaces`, namespace)
  things.set("namespace", name)
  const below = `${v2}/metadefs/namespaces/${name}`
  const about = { title: "t", type: "string" }
  await world.make(world.admin, "POST", `${below}/objects`, { name: "o", properties: { p: about } })
  await world.make(world.admin, "POST", `${below}/properties`, { name: "p", ...about })
  await world.make(world.admin, "POST", `${below}/tags/t`)
  await world.make(world.admin, "POST", `${below}/resource_types`, { name: "OS::Nova::Flavor" })
}

/** One that waits for its data. */
async function emptyImage(side: Side, world: World): Promise<string> {
  const image = { name: "empty", disk_format: "raw", container_format: "bare" }
  return (await world.make(side.token, "POST", `${v2}/images`, image)).id
}

export const foreignIds: ServiceFixture = {
  service: "image",
  make,
  params: {
    image_id: thing("image"),
    "POST /images/{image_id}/import image_id": thing("image", emptyImage),
    "POST /images/{image_id}/locations image_id": thing("image", emptyImage),
    member_id: thing("image_member"),
    task_id: thing("task"),
    tag: word("tag"),
    store_id: word("file"),
    namespace: thing("namespace"),
    "/metadefs/namespaces/{namespace}/resource_types/{name} name": word("OS::Nova::Flavor"),
    "/metadefs/namespaces/{namespace}/objects/{name} name": word("o"),
    "/metadefs/namespaces/{namespace}/properties/{name} name": word("p"),
    "/metadefs/namespaces/{namespace}/tags/{name} name": word("t"),
  },
  fields: {
    "POST /images id": thing("image"),
    "input.image_properties.id": word("tasks of members are refused"),
    member: word("any project: whom the owner shares the image with"),
    glance_image_id: thing("image"),
  },
  bodies: {
    "PATCH /images/{image_id}": [{ op: "replace", path: "/name", value: "taken" }],
    "POST /images/{image_id}/locations": { url: "http://x.example/" },
    "PUT /images/{image_id}/file": "bytes",
    "PUT /images/{image_id}/stage": "bytes",
    "POST /images/{image_id}/members": { member: "somebody" },
    "PUT /images/{image_id}/members/{member_id}": { status: "accepted" },
    "POST /images/{image_id}/import method.glance_image_id": {
      method: { name: "glance-download", glance_region: "RegionOne" },
    },
    "POST /tasks": {
      type: "import",
      input: { import_from: "http://x.example/", import_from_format: "raw", image_properties: {} },
    },
    "POST /images/{image_id}/import": { method: { name: "web-download", uri: "http://x.example/" } },
    "PUT /metadefs/namespaces/{namespace}": (side: Side) => ({ namespace: idOf(side, "namespace") }),
  },
  headers: {
    "PATCH /images/{image_id}": { "content-type": "application/openstack-images-v2.1-json-patch" },
  },
  ownRows: [{ table: "image.task", why: "a task keeps its request" }],
  allowed: [
    {
      probe: "POST /images/{image_id}/import",
      where: "method.glance_image_id",
      status: 202,
      why: "the task fails as for an image that is not there",
    },
    {
      probe: "POST /images",
      where: "id",
      status: 409,
      why: "an id is given once, and that is said as Glance says it",
    },
  ],
}
