import { Type } from "typebox"
import { one, rare } from "../../api/openstack/shape.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { route, type WireRequest, withHeaders } from "../../platform/http/wire.ts"
import type { ListQuery } from "../../platform/noun/list.ts"
import { querySchema } from "../../platform/noun/query-schema.ts"
import { keyed } from "../../platform/schema/make.ts"
import {
  addProjectTag,
  checkProjectTag,
  clearProjectTags,
  createProject,
  deleteProject,
  getProject,
  getProjectFamily,
  listProjects,
  listProjectTags,
  type Project,
  projectNoun,
  removeProjectTag,
  replaceProjectTags,
  updateProject,
} from "../index.ts"
import { admitToNew } from "./admit.ts"
import { viewProject } from "./projects-view.ts"
import { flag, readList } from "./read.ts"
import { resourceRoutes, showsLike } from "./resource.ts"
import { boolean, description, nullableId, options, placeName, tags } from "./schema.ts"
import { flags, selfLink } from "./told.ts"
import { linkTo, selfUrl } from "./view.ts"

/** A list of projects, or ids within ids. */
const family = { parents: rare({}), subtree: rare({}) }
const projectWithFamily = showsLike(viewProject, "ProjectWithFamily", family)
const toldTags = { answer: Type.Object({ tags, links: selfLink }) }

const familyNames = ["parents_as_list", "parents_as_ids", "subtree_as_list", "subtree_as_ids"]

export const projectRoutes = [
  ...resourceRoutes({
    noun: projectNoun,
    singular: "project",
    view: viewProject,
    properties: {
      name: placeName,
      domain_id: nullableId,
      parent_id: nullableId,
      is_domain: boolean,
      enabled: boolean,
      description,
      tags,
      options,
    },
    required: ["name"],
    known: ["parents", "subtree"],
    admit: admitToNew(createProject, "project"),
    list: listProjects,
    readList: readProjectList,
    create: createProject,
    update: updateProject,
    remove: deleteProject,
  }),
  route({
    method: "GET",
    path: "/projects/{project_id}",
    operation: [getProject, getProjectFamily],
    told: { query: querySchema(flags(...familyNames)), ...one("project", projectWithFamily) },
    handler: async (ctx, req) => {
      const project = await getProject(ctx, { id: req.params.project_id ?? "" })
      return { project: { ...viewProject(ctx, req, project), ...(await viewFamily(ctx, req, project)) } }
    },
  }),
]

export const projectTagRoutes = [
  route({
    method: "GET",
    path: "/projects/{project_id}/tags",
    operation: listProjectTags,
    told: toldTags,
    handler: async (ctx, req) => ({
      tags: await listProjectTags(ctx, { projectId: req.params.project_id ?? "" }),
      links: { self: selfUrl(ctx, req) },
    }),
  }),
  route({
    method: "PUT",
    path: "/projects/{project_id}/tags",
    operation: replaceProjectTags,
    told: toldTags,
    body: keyed("tags", tags),
    admit: (ctx, req) => replaceProjectTags.admit(ctx, { projectId: req.params.project_id ?? "", tags: [] }),
    handler: async (ctx, req) => ({
      tags: await replaceProjectTags(ctx, { projectId: req.params.project_id ?? "", tags: req.body.tags }),
      links: { self: selfUrl(ctx, req) },
    }),
  }),
  route({
    method: "DELETE",
    path: "/projects/{project_id}/tags",
    operation: clearProjectTags,
    handler: (ctx, req) => clearProjectTags(ctx, { projectId: req.params.project_id ?? "" }),
  }),
  route({
    method: "GET",
    path: "/projects/{project_id}/tags/{value}",
    operation: checkProjectTag,
    status: 204,
    handler: (ctx, req) => checkProjectTag(ctx, oneTag(req)),
  }),
  route({
    method: "PUT",
    path: "/projects/{project_id}/tags/{value}",
    operation: addProjectTag,
    status: 201,
    handler: async (ctx, req) => {
      const tag = oneTag(req)
      await addProjectTag(ctx, tag)
      const { self } = linkTo(ctx, req, `projects/${tag.projectId}/tags/${encodeURIComponent(tag.tag)}`)
      return withHeaders(undefined, { Location: self })
    },
  }),
  route({
    method: "DELETE",
    path: "/projects/{project_id}/tags/{value}",
    operation: removeProjectTag,
    handler: (ctx, req) => removeProjectTag(ctx, oneTag(req)),
  }),
]

function oneTag(req: WireRequest) {
  return { projectId: req.params.project_id ?? "", tag: req.params.value ?? "" }
}

/** Domains are projects as well, but shown here only when asked for. */
function readProjectList(query: WireRequest["query"]): ListQuery {
  const list = readList(query, projectNoun)
  return { ...list, filters: { isDomain: ["false"], ...list.filters } }
}

async function viewFamily(ctx: Ctx, req: WireRequest, row: Project): Promise<Record<string, unknown>> {
  const wants = (name: string) => flag(req.query, name)
  for (const side of ["parents", "subtree"]) {
    if (wants(`${side}_as_list`) && wants(`${side}_as_ids`)) {
      throw invalid(
        `${side}_as_list`,
        `Cannot use ${side}_as_list and ${side}_as_ids query params at the same time.`,
      )
    }
  }
  if (!familyNames.some(wants)) return {}
  const { parents, subtree } = await getProjectFamily(ctx, { id: row.id })
  const view: Record<string, unknown> = {}
  if (wants("parents_as_list")) view.parents = parents.map((p) => ({ project: viewProject(ctx, req, p) }))
  if (wants("parents_as_ids")) view.parents = parentsAsIds(parents, row.domainId)
  if (wants("subtree_as_list")) view.subtree = subtree.map((p) => ({ project: viewProject(ctx, req, p) }))
  if (wants("subtree_as_ids")) view.subtree = subtreeAsIds(subtree, row.id)
  return view
}

/** `{parent: {grandparent: {domain: null}}}` */
function parentsAsIds(parents: readonly Project[], domainId: string | null): unknown {
  const ids = [...parents.map((p) => p.id), ...(domainId ? [domainId] : [])]
  return ids.reduceRight<unknown>((inner, id) => ({ [id]: inner }), null)
}

/** `{child: {grandchild: null}, other: null}` */
function subtreeAsIds(rows: readonly Project[], id: string): unknown {
  const children = rows.filter((row) => row.parentId === id)
  if (children.length === 0) return null
  return Object.fromEntries(children.map((child) => [child.id, subtreeAsIds(rows, child.id)]))
}
