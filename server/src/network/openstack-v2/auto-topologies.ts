import { one, rare, shape, text } from "../../api/openstack/shape.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { pathUnknown } from "../../platform/http/faults.ts"
import { queryAll } from "../../platform/http/query.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import { autoTopologyField, checkAutoTopology, deleteAutoTopology, getAutoTopology } from "../index.ts"
import { fieldsQuery } from "./describe.ts"

/** `None` (which the old client writes) and nothing are the caller's project. */
function projectOf(ctx: Ctx, req: WireRequest): { projectId: string } {
  const given = req.params.project_id ?? "None"
  return { projectId: given === "None" ? (ctx.caller.projectId ?? "") : given }
}

const members = { id: text, tenant_id: text, project_id: rare(text) }
const told = {
  query: fieldsQuery,
  ...one("auto_allocated_topology", shape("AutoAllocatedTopology", members)),
}

function isDryRun(req: WireRequest): boolean {
  return queryAll(req.query, "fields").includes("dry-run")
}

async function tryOut(ctx: Ctx, req: WireRequest) {
  const subject = projectOf(ctx, req)
  await checkAutoTopology(ctx, subject)
  return { auto_allocated_topology: { id: "dry-run=pass", tenant_id: subject.projectId } }
}

export const autoTopologyRoutes: Route[] = [
  route({
    method: "GET",
    path: "/auto-allocated-topology",
    operation: checkAutoTopology,
    told,
    handler: async (ctx, req) => {
      // There is no list of them.
      if (!isDryRun(req)) throw pathUnknown()
      return await tryOut(ctx, req)
    },
  }),
  route({
    method: "GET",
    path: "/auto-allocated-topology/{project_id}",
    operation: [checkAutoTopology, getAutoTopology],
    told,
    handler: async (ctx, req) => {
      if (isDryRun(req)) return await tryOut(ctx, req)
      if (queryAll(req.query, "fields").length > 0) throw autoTopologyField()
      const { networkId, projectId } = await getAutoTopology(ctx, projectOf(ctx, req))
      return { auto_allocated_topology: { id: networkId, tenant_id: projectId, project_id: projectId } }
    },
  }),
  route({
    method: "DELETE",
    path: "/auto-allocated-topology/{project_id}",
    operation: deleteAutoTopology,
    handler: async (ctx, req) => await deleteAutoTopology(ctx, projectOf(ctx, req)),
  }),
]
