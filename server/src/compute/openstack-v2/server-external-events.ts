import { Type } from "typebox"
import { all, count, rare, shape, text } from "../../api/openstack/shape.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { type BodyOf, versions } from "../../platform/http/versions.ts"
import { type Route, reply, route, type WireRequest } from "../../platform/http/wire.ts"
import { closed, word } from "../../platform/schema/make.ts"
import { takeServerEvents } from "../index.ts"
import { bodyWith, uuid } from "./schema-parts.ts"

const names: readonly [from: string, name: string][] = [
  ["2.1", "network-changed"],
  ["2.1", "network-vif-plugged"],
  ["2.1", "network-vif-unplugged"],
  ["2.1", "network-vif-deleted"],
  ["2.51", "volume-extended"],
  ["2.76", "power-update"],
  ["2.82", "accelerator-request-bound"],
  ["2.93", "volume-reimaged"],
]

/** A schema for each version that brought a further name. */
const schema = versions(
  Object.fromEntries(
    [...new Set(names.map(([from]) => from))].map((from, index, all) => {
      const known = names.filter(([since]) => all.indexOf(since) <= index).map(([, name]) => name)
      return [from, bodyWith("events", Type.Array(eventOf(known), { minItems: 1 }))]
    }),
  ),
)

function eventOf(known: readonly string[]) {
  const properties = {
    name: word(known),
    server_uuid: uuid,
    status: word(["failed", "completed", "in-progress"]),
    tag: Type.String({ maxLength: 255 }),
  }
  return closed(properties, ["name", "server_uuid"])
}

const taken = { name: text, server_uuid: text, status: text, code: count, tag: rare(text) }

async function take(ctx: Ctx, req: WireRequest<BodyOf<typeof schema>>) {
  const { events } = req.body
  const verdicts = await takeServerEvents(ctx, {
    events: events.map(({ name, server_uuid, tag }) => ({ name, serverId: server_uuid, tag: tag ?? null })),
  })
  const views = events.map(({ name, server_uuid, status = "completed", tag }, index) => {
    const code = verdicts[index]
    const isTaken = code === 200
    return { name, server_uuid, status: isTaken ? status : "failed", code, ...(tag !== undefined && { tag }) }
  })
  return reply(verdicts.every((code) => code === 200) ? 200 : 207, { events: views })
}

export const serverExternalEventRoutes: readonly Route[] = [
  route({
    method: "POST",
    path: "/os-server-external-events",
    operation: takeServerEvents,
    body: schema,
    status: [200, 207],
    told: all("events", shape("TakenServerEvent", taken)),
    handler: take,
  }),
]
