import { secondsText } from "../../platform/clock/iso-time.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { queryText } from "../../platform/http/query.ts"
import { type Route, route, type WireRequest, withHeaders } from "../../platform/http/wire.ts"
import {
  type Association,
  addAssociation,
  createNamespace,
  deleteNamespace,
  getNamespace,
  type Item,
  type ListedNamespace,
  listAssociations,
  listNamespaces,
  listResourceTypes,
  type Namespace,
  type NamespaceDetail,
  namespaceNoun,
  removeAssociation,
  updateNamespace,
} from "../index.ts"
import { viewObject } from "./metadef-items.ts"
import {
  type AssociationBody,
  associationBody,
  checkWritable,
  type NamespaceBody,
  namespaceBody,
} from "./metadef-schema.ts"
import { pageLinks, readGlancePage } from "./page.ts"
import { told } from "./told.ts"

const path = "/metadefs/namespaces/{namespace}"
const nameOf = (req: WireRequest) => req.params.namespace ?? ""

export const namespaceRoutes: Route[] = [
  route({
    method: "GET",
    path: "/metadefs/namespaces",
    operation: listNamespaces,
    told: told.namespaces,
    handler: list,
  }),
  route({
    method: "POST",
    path: "/metadefs/namespaces",
    operation: createNamespace,
    told: told.namespace,
    body: namespaceBody,
    handler: async (ctx, req) => {
      checkWritable(req.body)
      const made = await createNamespace(ctx, readNew(req.body))
      const location = `${ctx.baseUrl}/image/v2/metadefs/namespaces/${encodeURIComponent(made.name)}`
      return withHeaders(viewDetail(made), { location })
    },
  }),
  route({
    method: "GET",
    path,
    operation: getNamespace,
    told: told.namespaceOfType,
    handler: async (ctx, req) => {
      const found = await getNamespace(ctx, { namespace: nameOf(req) })
      return viewDetail(found, queryText(req.query, "resource_type"))
    },
  }),
  route({
    method: "PUT",
    path,
    operation: updateNamespace,
    told: told.namespace,
    body: namespaceBody,
    handler: async (ctx, req) => {
      checkWritable(req.body)
      return view(await updateNamespace(ctx, { namespace: nameOf(req), ...readFields(req.body) }))
    },
  }),
  route({
    method: "DELETE",
    path,
    operation: deleteNamespace,
    handler: (ctx, req) => deleteNamespace(ctx, { namespace: nameOf(req) }),
  }),
  route({
    method: "GET",
    path: "/metadefs/resource_types",
    operation: listResourceTypes,
    told: told.resourceTypes,
    handler: async (ctx) => ({
      resource_types: (await listResourceTypes(ctx, {})).map((type) => ({
        name: type.name,
        created_at: secondsText(type.createdAt),
        updated_at: secondsText(type.updatedAt),
      })),
    }),
  }),
  route({
    method: "GET",
    path: `${path}/resource_types`,
    operation: listAssociations,
    told: told.associations,
    handler: async (ctx, req) => ({
      resource_type_associations: (await listAssociations(ctx, { namespace: nameOf(req) })).map(
        viewAssociation,
      ),
    }),
  }),
  route({
    method: "POST",
    path: `${path}/resource_types`,
    operation: addAssociation,
    told: told.association,
    body: associationBody,
    handler: async (ctx, req) =>
      viewAssociation(
        await addAssociation(ctx, { namespace: nameOf(req), association: readAssociation(req.body) }),
      ),
  }),
  route({
    method: "DELETE",
    path: `${path}/resource_types/{name}`,
    operation: removeAssociation,
    handler: (ctx, req) =>
      removeAssociation(ctx, { namespace: nameOf(req), resourceType: req.params.name ?? "" }),
  }),
]

function readFields(body: NamespaceBody) {
  return {
    name: body.namespace,
    displayName: body.display_name ?? null,
    description: body.description ?? null,
    visibility: body.visibility ?? ("private" as const),
    isProtected: body.protected ?? false,
    ...(body.owner === undefined ? {} : { projectId: body.owner }),
  }
}

function readNew(body: NamespaceBody) {
  return {
    ...readFields(body),
    objects: (body.objects ?? []).map(({ name, ...definition }) => ({ name, definition })),
    tags: (body.tags ?? []).map(({ name }) => ({ name, definition: {} })),
    properties: Object.entries(body.properties ?? {}).map(([name, definition]) => ({ name, definition })),
    associations: (body.resource_type_associations ?? []).map(readAssociation),
  }
}

function readAssociation(body: AssociationBody) {
  return {
    resourceType: body.name,
    prefix: body.prefix ?? null,
    propertiesTarget: body.properties_target ?? null,
  }
}

async function list(ctx: Ctx, req: WireRequest): Promise<unknown> {
  const visibility = queryText(req.query, "visibility")
  if (visibility !== undefined && visibility !== "public" && visibility !== "private")
    throw invalid("visibility", `Invalid visibility value: ${visibility}`)
  const resourceTypes = queryText(req.query, "resource_types")?.split(",")
  const page = readGlancePage(ctx, req, namespaceNoun.fields)
  const filters = { ...(visibility && { visibility: [visibility] }), ...(resourceTypes && { resourceTypes }) }
  const { items, read } = await listNamespaces(ctx, { filters, page })
  return {
    namespaces: items.map(viewListed),
    schema: "/v2/schemas/metadefs/namespaces",
    ...pageLinks(req, "/v2/metadefs/namespaces", page, read),
  }
}

function view(namespace: Namespace): Record<string, unknown> {
  return {
    namespace: namespace.name,
    ...(namespace.displayName === null ? {} : { display_name: namespace.displayName }),
    ...(namespace.description === null ? {} : { description: namespace.description }),
    visibility: namespace.visibility,
    protected: namespace.isProtected,
    ...(namespace.projectId === null ? {} : { owner: namespace.projectId }),
    created_at: secondsText(namespace.createdAt),
    updated_at: secondsText(namespace.updatedAt),
    self: `/v2/metadefs/namespaces/${namespace.name}`,
    schema: "/v2/schemas/metadefs/namespace",
  }
}

function viewListed(namespace: ListedNamespace): Record<string, unknown> {
  const associations = namespace.associations.map(viewAssociation)
  return {
    ...view(namespace),
    ...(associations.length > 0 ? { resource_type_associations: associations } : {}),
  }
}

/** On a type whose association has a prefix, the names of the properties begin with it. */
function viewDetail(namespace: NamespaceDetail, resourceType?: string): Record<string, unknown> {
  const { objects, properties, tags } = namespace
  const prefix = namespace.associations.find((a) => a.resourceType === resourceType)?.prefix ?? ""
  const byName = properties.map((item) => [`${prefix}${item.name}`, item.definition])
  return {
    ...viewListed(namespace),
    ...(objects.length > 0
      ? { objects: objects.map((o) => prefixed(viewObject(namespace.name, o), o, prefix)) }
      : {}),
    ...(properties.length > 0 ? { properties: Object.fromEntries(byName) } : {}),
    ...(tags.length > 0 ? { tags: tags.map(({ name }) => ({ name })) } : {}),
  }
}

function prefixed(shown: Record<string, unknown>, item: Item, prefix: string): Record<string, unknown> {
  if (prefix === "") return shown
  const { properties, required } = item.definition
  const names =
    typeof properties === "object" && properties !== null
      ? Object.entries(properties).map(([name, value]) => [`${prefix}${name}`, value])
      : []
  return {
    ...shown,
    properties: Object.fromEntries(names),
    ...(Array.isArray(required) ? { required: required.map((name) => `${prefix}${String(name)}`) } : {}),
  }
}

function viewAssociation(association: Association): Record<string, unknown> {
  return {
    name: association.resourceType,
    ...(association.prefix === null ? {} : { prefix: association.prefix }),
    ...(association.propertiesTarget === null ? {} : { properties_target: association.propertiesTarget }),
    created_at: secondsText(association.createdAt),
    updated_at: secondsText(association.updatedAt),
  }
}
