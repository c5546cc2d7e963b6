// The five routes that every noun of this API has, from one declaration.

import type { Ctx } from "../../platform/context/context.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import type { AnyOperation, Operation } from "../../platform/operation/operation.ts"
import type { Listed, ListQuery } from "../index.ts"
import { type Attributes, badRequest, readCreate, readUpdate, viewThing } from "./attributes.ts"
import { idsIn } from "./kinds.ts"
import { type ExtraFilters, expectedRevision, pageLinks, readFields, readList } from "./query.ts"

// biome-ignore lint/suspicious/noExplicitAny: inputs were read by the attributes, which say what the service takes
type Input = any

export interface Resource<T extends { id: string }> {
  /** `security_group` */
  singular: string
  /** `security_groups` */
  plural: string
  /** `/security-groups` */
  path: string
  attributes: Attributes
  /** What the functions of these names ask. */
  operations: {
    get: AnyOperation
    create?: AnyOperation
    update?: AnyOperation
    remove?: AnyOperation
  }
  filters?: ExtraFilters
  /** Neutron answers so for nouns whose sharing its rules do not look at. */
  concealsChanges?: true
  /** Keys that the caller may not see. */
  hidden?: (ctx: Ctx, thing: T) => ReadonlySet<string>
  list: Operation<ListQuery, Listed<T>>
  get: (ctx: Ctx, id: string) => Promise<T>
  create?: (ctx: Ctx, inputs: Input[]) => Promise<T[]>
  takesMany?: boolean
  update?: (ctx: Ctx, id: string, changes: Input, expected: { expectedRevision?: number }) => Promise<T>
  remove?: (ctx: Ctx, id: string, expected: { expectedRevision?: number }) => Promise<unknown>
}

export function viewOf<T extends { id: string }>(
  ctx: Ctx,
  resource: Resource<T>,
  thing: T,
  fields?: ReadonlySet<string>,
): Record<string, unknown> {
  return viewThing(ctx, thing, resource.attributes, resource.hidden?.(ctx, thing), fields)
}

function viewAll<T extends { id: string }>(
  ctx: Ctx,
  resource: Resource<T>,
  things: readonly T[],
  fields?: ReadonlySet<string>,
): Record<string, unknown>[] {
  return things.map((thing) => viewOf(ctx, resource, thing, fields))
}

function bodyIds(
  { singular, attributes }: Pick<Resource<never>, "singular" | "attributes">,
  verb: "post" | "put",
) {
  return Object.entries(attributes)
    .filter(([, attribute]) => attribute[verb])
    .flatMap(([name, { kind }]) => idsIn(`${singular}.${name}`, kind))
}

/** Of such a noun only owners are told that a rule forbids the change; others read 404. */
async function concealed<T extends { id: string }, R>(
  ctx: Ctx,
  resource: Resource<T>,
  id: string,
  act: () => Promise<R>,
): Promise<R> {
  return await act().catch(async (error: unknown) => {
    if (!resource.concealsChanges || !(error instanceof Fault) || error.kind !== "forbidden") throw error
    const { projectId } = (await resource.get(ctx, id)) as T & { projectId?: string }
    throw projectId === ctx.caller.projectId ? error : notFound(resource.singular, id)
  })
}

function notFound(singular: string, id: string): Fault {
  const words = singular.replaceAll("_", " ")
  return new Fault("not_found", `network.${singular}.not_found`, `The ${words} ${id} could not be found.`)
}

export function resourceRoutes<T extends { id: string }>(resource: Resource<T>): Route[] {
  const { singular, plural, path, operations } = resource
  const one = `${path}/{${singular}_id}`
  const idOf = (req: WireRequest) => req.params[`${singular}_id`] ?? ""
  const concealing = resource.concealsChanges ? operations.get : []
  const routes: Route[] = [
    route({
      method: "GET",
      path,
      operation: resource.list,
      handler: async (ctx, req) => {
        const query = readList(ctx, req.query, resource.attributes, resource.filters)
        const { items, read } = await resource.list(ctx, query)
        const links = pageLinks(ctx, req, query.page, read)
        return {
          [plural]: viewAll(ctx, resource, items, readFields(req.query)),
          ...(links.length > 0 ? { [`${plural}_links`]: links } : {}),
        }
      },
    }),
    route({
      method: "GET",
      path: one,
      operation: operations.get,
      handler: async (ctx, req) => ({
        [singular]: viewOf(ctx, resource, await resource.get(ctx, idOf(req)), readFields(req.query)),
      }),
    }),
  ]
  const { create, update, remove } = resource
  if (create && operations.create) {
    routes.push(
      route({
        method: "POST",
        path,
        operation: operations.create,
        status: 201,
        bodyIds: bodyIds(resource, "post"),
        handler: async (ctx, req) => {
          const { inputs, isMany } = readCreate(
            req.body,
            { singular, plural, takesMany: resource.takesMany ?? true },
            resource.attributes,
          )
          if (inputs.length > ctx.config.network.bulkMax)
            throw badRequest(`At most ${ctx.config.network.bulkMax} ${plural} can be made by one request`)
          const things = await create(ctx, inputs)
          if (isMany) return { [plural]: viewAll(ctx, resource, things) }
          const [thing] = things
          return { [singular]: thing && viewOf(ctx, resource, thing) }
        },
      }),
    )
  }
  if (update && operations.update) {
    routes.push(
      route({
        method: "PUT",
        path: one,
        operation: operations.update,
        alsoAsks: concealing,
        bodyIds: bodyIds(resource, "put"),
        handler: async (ctx, req) => {
          const changes = readUpdate(req.body, singular, resource.attributes)
          const thing = await concealed(ctx, resource, idOf(req), () =>
            update(ctx, idOf(req), changes, expectedRevision(req)),
          )
          return { [singular]: viewOf(ctx, resource, thing) }
        },
      }),
    )
  }
  if (remove && operations.remove) {
    routes.push(
      route({
        method: "DELETE",
        path: one,
        operation: operations.remove,
        alsoAsks: concealing,
        status: 204,
        handler: async (ctx, req) => {
          if (req.body !== undefined && req.body !== null)
            throw badRequest("Request body is not supported in DELETE.")
          await concealed(ctx, resource, idOf(req), () => remove(ctx, idOf(req), expectedRevision(req)))
        },
      }),
    )
  }
  return routes
}
