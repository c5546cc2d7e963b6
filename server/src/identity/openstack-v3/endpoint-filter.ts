import { Type } from "typebox"
import { one } from "../../api/openstack/shape.ts"
import { route, type WireRequest } from "../../platform/http/wire.ts"
import { closed, word } from "../../platform/schema/make.ts"
import {
  addProjectEndpoint,
  addProjectEndpointGroup,
  checkProjectEndpoint,
  createEndpointGroup,
  deleteEndpointGroup,
  endpointGroupNoun,
  getEndpointGroup,
  getProjectEndpointGroup,
  listEndpointGroups,
  listEndpointProjects,
  listGroupEndpoints,
  listGroupProjects,
  listProjectEndpointGroups,
  listProjectEndpoints,
  removeProjectEndpoint,
  removeProjectEndpointGroup,
  updateEndpointGroup,
} from "../index.ts"
import { viewEndpoint } from "./endpoints.ts"
import { membershipRoutes } from "./membership.ts"
import { viewProject } from "./projects-view.ts"
import { resourceRoutes, viewOf } from "./resource.ts"
import { description, name, text } from "./schema.ts"
import { listOf } from "./told.ts"
import { listReply } from "./view.ts"

const viewGroup = viewOf(endpointGroupNoun, ({ id }) => `OS-EP-FILTER/endpoint_groups/${id}`)

const association = Type.Object({ endpoint_group_id: text, project_id: text })

function groupPair(req: WireRequest) {
  return { projectId: req.params.project_id ?? "", endpointGroupId: req.params.endpoint_group_id ?? "" }
}

function groupId(req: WireRequest) {
  return { id: req.params.endpoint_group_id ?? "" }
}

export const endpointGroupRoutes = [
  ...resourceRoutes({
    noun: endpointGroupNoun,
    singular: "endpoint_group",
    prefix: "/OS-EP-FILTER",
    view: viewGroup,
    properties: {
      name,
      description,
      filters: closed({
        service_id: text,
        region_id: text,
        interface: word(["public", "internal", "admin"]),
      }),
    },
    required: ["name", "filters"],
    list: listEndpointGroups,
    get: getEndpointGroup,
    create: createEndpointGroup,
    update: updateEndpointGroup,
    remove: deleteEndpointGroup,
  }),
  route({
    method: "GET",
    path: "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/endpoints",
    operation: listGroupEndpoints,
    told: listOf("endpoints", viewEndpoint.shows),
    handler: async (ctx, req) =>
      listReply(ctx, req, "endpoints", await listGroupEndpoints(ctx, groupId(req)), viewEndpoint),
  }),
  route({
    method: "GET",
    path: "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/projects",
    operation: listGroupProjects,
    told: listOf("projects", viewProject.shows),
    handler: async (ctx, req) =>
      listReply(ctx, req, "projects", await listGroupProjects(ctx, groupId(req)), viewProject),
  }),
  route({
    method: "PUT",
    path: "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/projects/{project_id}",
    operation: addProjectEndpointGroup,
    status: 204,
    handler: (ctx, req) => addProjectEndpointGroup(ctx, groupPair(req)),
  }),
  route({
    method: "GET",
    path: "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/projects/{project_id}",
    operation: getProjectEndpointGroup,
    told: one("project_endpoint_group", association),
    handler: async (ctx, req) => {
      const row = await getProjectEndpointGroup(ctx, groupPair(req))
      return { project_endpoint_group: { endpoint_group_id: row.id, project_id: req.params.project_id } }
    },
  }),
  route({
    method: "DELETE",
    path: "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/projects/{project_id}",
    operation: removeProjectEndpointGroup,
    handler: (ctx, req) => removeProjectEndpointGroup(ctx, groupPair(req)),
  }),
]

export const projectEndpointRoutes = [
  ...membershipRoutes(
    "/OS-EP-FILTER/projects/{project_id}/endpoints/{endpoint_id}",
    { create: addProjectEndpoint, check: checkProjectEndpoint, remove: removeProjectEndpoint },
    (req) => ({ projectId: req.params.project_id ?? "", endpointId: req.params.endpoint_id ?? "" }),
  ),
  route({
    method: "GET",
    path: "/OS-EP-FILTER/projects/{project_id}/endpoints",
    operation: listProjectEndpoints,
    told: listOf("endpoints", viewEndpoint.shows),
    handler: async (ctx, req) => {
      const rows = await listProjectEndpoints(ctx, { projectId: req.params.project_id ?? "" })
      return listReply(ctx, req, "endpoints", rows, viewEndpoint)
    },
  }),
  route({
    method: "GET",
    path: "/OS-EP-FILTER/projects/{project_id}/endpoint_groups",
    operation: listProjectEndpointGroups,
    told: listOf("endpoint_groups", viewGroup.shows),
    handler: async (ctx, req) => {
      const rows = await listProjectEndpointGroups(ctx, { projectId: req.params.project_id ?? "" })
      return listReply(ctx, req, "endpoint_groups", rows, viewGroup)
    },
  }),
  route({
    method: "GET",
    path: "/OS-EP-FILTER/endpoints/{endpoint_id}/projects",
    operation: listEndpointProjects,
    told: listOf("projects", viewProject.shows),
    handler: async (ctx, req) => {
      const rows = await listEndpointProjects(ctx, { id: req.params.endpoint_id ?? "" })
      return listReply(ctx, req, "projects", rows, viewProject)
    },
  }),
]
