import { type Agent, agentNoun, deleteAgent, getAgent, listAgents, updateAgent } from "../index.ts"
import { shown, text } from "./kinds.ts"
import { resource, resourceRoutes } from "./resource.ts"

/** Neutron writes the times of agents without a zone. */
const time = (key: "createdAt" | "startedAt" | "heartbeatTimestamp") => ({
  kind: text(),
  view: (agent: Agent) => agent[key].toISOString().slice(0, 19).replace("T", " "),
})

export const agentRoutes = resourceRoutes(
  resource({
    noun: agentNoun,
    singular: "agent",
    particulars: {
      created_at: time("createdAt"),
      started_at: time("startedAt"),
      heartbeat_timestamp: time("heartbeatTimestamp"),
      resources_synced: { kind: { ...shown, schema: { type: "null" } }, view: () => null },
    },
    list: listAgents,
    get: getAgent,
    update: updateAgent,
    remove: deleteAgent,
  }),
)
