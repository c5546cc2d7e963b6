import { queryAll } from "../../platform/http/query.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import { type Agent, deleteAgent, getAgent, listAgents, updateAgent } from "../index.ts"
import { textsQuery } from "./describe.ts"

/** Neutron writes the times of agents without a zone. */
function agentTime(time: Date): string {
  return time.toISOString().slice(0, 19).replace("T", " ")
}

function viewAgent(agent: Agent): Record<string, unknown> {
  return {
    id: agent.id,
    agent_type: agent.agentType,
    binary: agent.binary,
    host: agent.host,
    topic: agent.topic,
    admin_state_up: agent.adminStateUp,
    alive: agent.alive,
    availability_zone: agent.availabilityZone,
    created_at: agentTime(agent.createdAt),
    started_at: agentTime(agent.startedAt),
    heartbeat_timestamp: agentTime(agent.heartbeatTimestamp),
    configurations: agent.configurations,
    description: agent.description,
    resources_synced: null,
  }
}

const filterNames = [
  "id",
  "agent_type",
  "binary",
  "host",
  "topic",
  "alive",
  "admin_state_up",
  "availability_zone",
]

function isAsked(view: Record<string, unknown>, req: WireRequest): boolean {
  return filterNames.every((name) => {
    const values = queryAll(req.query, name).map((v) => v.toLowerCase())
    return values.length === 0 || values.includes(String(view[name]).toLowerCase())
  })
}

const updateSchema = {
  type: "object",
  properties: {
    agent: {
      type: "object",
      properties: {
        admin_state_up: { type: "boolean" },
        description: { type: ["string", "null"], maxLength: 255 },
      },
      additionalProperties: false,
    },
  },
  required: ["agent"],
  additionalProperties: false,
}

export const agentRoutes: Route[] = [
  route({
    method: "GET",
    path: "/agents",
    operation: listAgents,
    told: { query: textsQuery(filterNames) },
    handler: async (ctx, req) => ({
      agents: (await listAgents(ctx, {})).map(viewAgent).filter((view) => isAsked(view, req)),
    }),
  }),
  route({
    method: "GET",
    path: "/agents/{agent_id}",
    operation: getAgent,
    handler: async (ctx, req) => ({
      agent: viewAgent(await getAgent(ctx, { agentId: req.params.agent_id ?? "" })),
    }),
  }),
  route<{ agent: { admin_state_up?: boolean; description?: string | null } }>({
    method: "PUT",
    path: "/agents/{agent_id}",
    operation: updateAgent,
    body: updateSchema,
    handler: async (ctx, req) => {
      const { admin_state_up, description } = req.body.agent
      const changed = await updateAgent(ctx, {
        agentId: req.params.agent_id ?? "",
        ...(admin_state_up === undefined ? {} : { adminStateUp: admin_state_up }),
        ...(description === undefined ? {} : { description: description ?? "" }),
      })
      return { agent: viewAgent(changed) }
    },
  }),
  route({
    method: "DELETE",
    path: "/agents/{agent_id}",
    operation: deleteAgent,
    handler: (ctx, req) => deleteAgent(ctx, { agentId: req.params.agent_id ?? "" }),
  }),
]
