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
import { listRoute } from "./shown-routes.ts"

const viewGroup = viewOf(endpointGroupNoun, ({ id }) => `OS-EP-FILTER/endpoint_groups/${id}`)

const group = "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}"
const association = Type.Object({ endpoint_group_id: text, project_id: text })

function groupPair(req: WireRequest) {
  return { projectId: req.params.project_id ?? "", endpointGroupId: req.params.endpoint_group_id ?? "" }
}

const ofProject = "/OS-EP-FILTER/projects/{project_id}"
const project = (req: WireRequest) => ({ projectId: req.params.project_id ?? "" })
const endpoint = (req: WireRequest) => ({ id: req.params.endpoint_id ?? "" })

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
  listRoute(`${group}/endpoints`, listGroupEndpoints, groupId, ["endpoints", viewEndpoint]),
  listRoute(`${group}/projects`, listGroupProjects, groupId, ["projects", viewProject]),
  route({
    method: "PUT",
    path: `${group}/projects/{project_id}`,
    operation: addProjectEndpointGroup,
    status: 204,
    handler: (ctx, req) => addProjectEndpointGroup(ctx, groupPair(req)),
  }),
  route({
    method: "GET",
    path: `${group}/projects/{project_id}`,
    operation: getProjectEndpointGroup,
    told: one("project_endpoint_group", association),
    handler: async (ctx, req) => {
      const row = await getProjectEndpointGroup(ctx, groupPair(req))
      return { project_endpoint_group: { endpoint_group_id: row.id, project_id: req.params.project_id } }
    },
  }),
  route({
    method: "DELETE",
    path: `${group}/projects/{project_id}`,
    operation: removeProjectEndpointGroup,
    handler: (ctx, req) => removeProjectEndpointGroup(ctx, groupPair(req)),
  }),
]

export const projectEndpointRoutes = [
  ...membershipRoutes(
    `${ofProject}/endpoints/{endpoint_id}`,
    { create: addProjectEndpoint, check: checkProjectEndpoint, remove: removeProjectEndpoint },
    (req) => ({ projectId: req.params.project_id ?? "", endpointId: req.params.endpoint_id ?? "" }),
  ),
  listRoute(`${ofProject}/endpoints`, listProjectEndpoints, project, ["endpoints", viewEndpoint]),
  listRoute(`${ofProject}/endpoint_groups`, listProjectEndpointGroups, project, [
    "endpoint_groups",
    viewGroup,
  ]),
  listRoute("/OS-EP-FILTER/endpoints/{endpoint_id}/projects", listEndpointProjects, endpoint, [
    "projects",
    viewProject,
  ]),
]
