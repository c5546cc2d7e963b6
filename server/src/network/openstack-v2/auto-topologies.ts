import type { Ctx } from "../../platform/context/context.ts"
import { queryAll } from "../../platform/http/query.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import { checkAutoTopology, deleteAutoTopology, getAutoTopology } from "../index.ts"

/** `None` (which the old client writes) is the caller's project. */
function projectOf(ctx: Ctx, req: WireRequest): { projectId: string } {
  const given = req.params.project_id ?? ""
  return { projectId: given === "None" ? (ctx.caller.projectId ?? "") : given }
}

export const autoTopologyRoutes: Route[] = [
  route({
    method: "GET",
    path: "/auto-allocated-topology/{project_id}",
    operation: [checkAutoTopology, getAutoTopology],
    handler: async (ctx, req) => {
      const subject = projectOf(ctx, req)
      if (queryAll(req.query, "fields").includes("dry-run")) {
        await checkAutoTopology(ctx, subject)
        return { auto_allocated_topology: { id: "dry-run=pass", tenant_id: subject.projectId } }
      }
      const { networkId, projectId } = await getAutoTopology(ctx, subject)
      return { auto_allocated_topology: { id: networkId, tenant_id: projectId, project_id: projectId } }
    },
  }),
  route({
    method: "DELETE",
    path: "/auto-allocated-topology/{project_id}",
    operation: deleteAutoTopology,
    status: 204,
    handler: async (ctx, req) => await deleteAutoTopology(ctx, projectOf(ctx, req)),
  }),
]
