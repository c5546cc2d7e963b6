import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { queryText } from "../../platform/http/query.ts"
import { route, type WireRequest, withHeaders } from "../../platform/http/wire.ts"
import { type Fields, keyed } from "../../platform/schema/make.ts"
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
  type ProjectRow,
  removeProjectTag,
  replaceProjectTags,
  updateProject,
} from "../index.ts"
import { admitToNew, admitToOne } from "./admit.ts"
import { viewProject } from "./projects-view.ts"
import { extraOf, flag, given, readBoolean, readOldList, requireSameId } from "./read.ts"
import { boolean, description, member, nullableId, options, placeName, tags } from "./schema.ts"
import { linkTo, pageReply, selfUrl } from "./view.ts"

const properties = {
  name: placeName,
  domain_id: nullableId,
  parent_id: nullableId,
  is_domain: boolean,
  enabled: boolean,
  description,
  tags,
  options,
}
const known = [...Object.keys(properties), "id", "links", "parents", "subtree"]

function readProject(body: Fields<typeof properties>) {
  return given({
    domainId: body.domain_id,
    parentId: body.parent_id,
    isDomain: readBoolean(body.is_domain),
    isEnabled: readBoolean(body.enabled),
    description: body.description,
    tags: body.tags,
    options: body.options,
    extra: extraOf(body, known),
  })
}

export const projectRoutes = [
  route({
    method: "GET",
    path: "/projects",
    operation: listProjects,
    handler: async (ctx, req) => {
      const list = await listProjects(ctx, { ...readProjectList(req.query), tags: readTags(req.query) })
      return pageReply(ctx, req, "projects", list, viewProject)
    },
  }),
  route({
    method: "POST",
    path: "/projects",
    operation: createProject,
    body: member("project", properties, { required: ["name"] }),
    admit: admitToNew(createProject, "project"),
    handler: async (ctx, req) => {
      const { project } = req.body
      const row = await createProject(ctx, { name: project.name, ...readProject(project) })
      return { project: viewProject(ctx, req, row) }
    },
  }),
  route({
    method: "GET",
    path: "/projects/{project_id}",
    operation: [getProject, getProjectFamily],
    handler: async (ctx, req) => {
      const row = await getProject(ctx, { id: req.params.project_id ?? "" })
      return { project: { ...viewProject(ctx, req, row), ...(await viewFamily(ctx, req, row)) } }
    },
  }),
  route({
    method: "PATCH",
    path: "/projects/{project_id}",
    operation: updateProject,
    body: member("project", properties, { minProperties: 1 }),
    admit: admitToOne(updateProject, "project"),
    handler: async (ctx, req) => {
      const id = req.params.project_id ?? ""
      const { project } = req.body
      requireSameId(project, id)
      const row = await updateProject(ctx, { id, ...given({ name: project.name }), ...readProject(project) })
      return { project: viewProject(ctx, req, row) }
    },
  }),
  route({
    method: "DELETE",
    path: "/projects/{project_id}",
    operation: deleteProject,
    handler: async (ctx, req) => {
      await deleteProject(ctx, { id: req.params.project_id ?? "" })
    },
  }),
]

export const projectTagRoutes = [
  route({
    method: "GET",
    path: "/projects/{project_id}/tags",
    operation: listProjectTags,
    handler: async (ctx, req) => ({
      tags: await listProjectTags(ctx, { projectId: req.params.project_id ?? "" }),
      links: { self: selfUrl(ctx, req) },
    }),
  }),
  route({
    method: "PUT",
    path: "/projects/{project_id}/tags",
    operation: replaceProjectTags,
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
    handler: async (ctx, req) => {
      await clearProjectTags(ctx, { projectId: req.params.project_id ?? "" })
    },
  }),
  route({
    method: "GET",
    path: "/projects/{project_id}/tags/{value}",
    operation: checkProjectTag,
    status: 204,
    handler: async (ctx, req) => {
      await checkProjectTag(ctx, oneTag(req))
    },
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
    handler: async (ctx, req) => {
      await removeProjectTag(ctx, oneTag(req))
    },
  }),
]

function oneTag(req: WireRequest) {
  return { projectId: req.params.project_id ?? "", tag: req.params.value ?? "" }
}

function readProjectList(query: WireRequest["query"]) {
  const list = readOldList(query, {
    name: "text",
    enabled: "boolean",
    domain_id: "text",
    parent_id: "text",
    is_domain: "boolean",
  })
  const filters = [...(list.filters ?? [])]
  // Domains are projects as well, but shown here only when asked for.
  if (!filters.some((f) => f.key === "is_domain")) {
    filters.push({ key: "is_domain", comparator: "equals", value: false })
  }
  return { ...list, filters }
}

function readTags(query: WireRequest["query"]) {
  const words = (name: string) =>
    queryText(query, name)
      ?.split(",")
      .filter((word) => word !== "")
  return given({
    all: words("tags"),
    any: words("tags-any"),
    notAll: words("not-tags"),
    notAny: words("not-tags-any"),
  })
}

async function viewFamily(ctx: Ctx, req: WireRequest, row: ProjectRow): Promise<Record<string, unknown>> {
  const wants = (name: string) => flag(req.query, name)
  for (const side of ["parents", "subtree"]) {
    if (wants(`${side}_as_list`) && wants(`${side}_as_ids`)) {
      throw invalid(
        `${side}_as_list`,
        `Cannot use ${side}_as_list and ${side}_as_ids query params at the same time.`,
      )
    }
  }
  const names = ["parents_as_list", "parents_as_ids", "subtree_as_list", "subtree_as_ids"]
  if (!names.some(wants)) return {}
  const { parents, subtree } = await getProjectFamily(ctx, { id: row.id })
  const view: Record<string, unknown> = {}
  if (wants("parents_as_list")) view.parents = parents.map((p) => ({ project: viewProject(ctx, req, p) }))
  if (wants("parents_as_ids")) view.parents = parentsAsIds(parents, row.domain_id)
  if (wants("subtree_as_list")) view.subtree = subtree.map((p) => ({ project: viewProject(ctx, req, p) }))
  if (wants("subtree_as_ids")) view.subtree = subtreeAsIds(subtree, row.id)
  return view
}

/** `{parent: {grandparent: {domain: null}}}` */
function parentsAsIds(parents: readonly ProjectRow[], domainId: string | null): unknown {
  const ids = [...parents.map((p) => p.id), ...(domainId ? [domainId] : [])]
  return ids.reduceRight<unknown>((inner, id) => ({ [id]: inner }), null)
}

/** `{child: {grandchild: null}, other: null}` */
function subtreeAsIds(rows: readonly ProjectRow[], id: string): unknown {
  const children = rows.filter((row) => row.parent_id === id)
  if (children.length === 0) return null
  return Object.fromEntries(children.map((child) => [child.id, subtreeAsIds(rows, child.id)]))
}
