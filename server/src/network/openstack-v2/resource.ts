// The five routes that every noun of this API has, from the noun and its operations.
import type { Ctx } from "../../platform/context/context.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import type { ChangesOf, CreateOf, Fields, ThingOf } from "../../platform/noun/field.ts"
import type { ListQuery } from "../../platform/noun/list.ts"
import type { Noun } from "../../platform/noun/noun.ts"
import type { Listed } from "../../platform/noun/page.ts"
import type { Operation } from "../../platform/operation/operation.ts"
import {
  type Attributes,
  attributesOf,
  type Particulars,
  readCreate,
  readUpdate,
  viewThing,
} from "./attributes.ts"
import { badRequest } from "./bad-request.ts"
import {
  answerSchema,
  fieldsQuery,
  inputSchema,
  listQuery,
  oneOrMany,
  pageSchema,
  shownSchema,
  wrapped,
} from "./describe.ts"
import { type ExtraFilters, expectedRevision, pageLinks, readFields, readList } from "./query.ts"

interface Expected {
  expectedRevision?: number
}

type Params = WireRequest["params"]

/** `P`: what says in which other thing these are, for operations of things that are in one: `{ floatingIpId }`. */
export interface ResourceDefinition<F extends Fields, P extends object = object> {
  noun: Pick<Noun<F>, "name" | "fields">
  /** `security_group` */
  singular: string
  /** `security_groups`; default: the singular with an s. */
  plural?: string
  /** Default: the plural with hyphens. */
  path?: string
  /** In which thing they are, of the path's parameters. */
  parent?: (params: Params) => P
  /** What differs from the noun on this wire. */
  particulars?: Particulars<ThingOf<F>>
  filters?: ExtraFilters
  /** Neutron answers so for nouns whose sharing its rules do not look at. */
  concealsChanges?: true
  /** Keys that the caller may not see. */
  hidden?: (ctx: Ctx, thing: ThingOf<F>) => ReadonlySet<string>
  takesMany?: boolean
  /** What an update means that says these things. */
  readChanges?: (changes: ChangesOf<F>) => ChangesOf<F>
  list: Operation<ListQuery & P, Listed<ThingOf<F>>>
  get: Operation<{ id: string } & P, ThingOf<F>>
  create?: Operation<{ items: CreateOf<F>[] } & P, ThingOf<F>[]>
  update?: Operation<{ id: string; changes: ChangesOf<F> } & Expected & P, ThingOf<F>>
  remove?: Operation<{ id: string } & Expected & P, unknown>
}

export interface Resource<F extends Fields, P extends object = object> extends ResourceDefinition<F, P> {
  plural: string
  path: string
  attributes: Attributes<ThingOf<F>>
}

export function resource<F extends Fields, P extends object = object>(
  definition: ResourceDefinition<F, P>,
): Resource<F, P> {
  const plural = definition.plural ?? `${definition.singular}s`
  const path = definition.path ?? `/${plural.replaceAll("_", "-")}`
  return { ...definition, plural, path, attributes: attributesOf(definition.noun, definition.particulars) }
}

export function viewOf<F extends Fields>(
  ctx: Ctx,
  { attributes, hidden }: Pick<Resource<F>, "attributes" | "hidden">,
  thing: ThingOf<F>,
  fields?: ReadonlySet<string>,
): Record<string, unknown> {
  return viewThing(ctx, thing, attributes, hidden?.(ctx, thing), fields)
}

/** Of such a noun only owners are told that a rule forbids the change; others read 404. */
async function concealed<F extends Fields, P extends object, R>(
  ctx: Ctx,
  { singular, get, concealsChanges }: Resource<F, P>,
  one: { id: string } & P,
  act: () => Promise<R>,
): Promise<R> {
  return await act().catch(async (error: unknown) => {
    if (!concealsChanges || !(error instanceof Fault) || error.kind !== "forbidden") throw error
    const projectId: unknown = Reflect.get(await get(ctx, one), "projectId")
    throw projectId === ctx.caller.projectId ? error : notFound(singular, one.id)
  })
}

function notFound(singular: string, id: string): Fault {
  const words = singular.replaceAll("_", " ")
  return new Fault("not_found", `network.${singular}.not_found`, `The ${words} ${id} could not be found.`)
}

/** Of what is in nothing else there is nothing to say. */
function parentOf<F extends Fields, P extends object>({ parent }: Resource<F, P>, params: Params): P {
  return parent ? parent(params) : ({} as P)
}

export function resourceRoutes<F extends Fields, P extends object>(resource: Resource<F, P>): Route[] {
  const { singular, plural, path, attributes, list, get, create, update, remove } = resource
  const one = `${path}/{${singular}_id}`
  const answer = answerSchema(resource)
  const oneOf = ({ params }: WireRequest) => ({
    id: params[`${singular}_id`] ?? "",
    ...parentOf(resource, params),
  })
  const view = (ctx: Ctx, thing: ThingOf<F>, fields?: ReadonlySet<string>) =>
    viewOf(ctx, resource, thing, fields)
  const routes: Route[] = [
    route({
      method: "GET",
      path,
      operation: list,
      told: {
        query: listQuery(resource, Object.keys(resource.filters ?? {})),
        answer: pageSchema(resource),
      },
      handler: async (ctx, req) => {
        const query = readList(ctx, req.query, attributes, resource.filters)
        const { items, read } = await list(ctx, { ...query, ...parentOf(resource, req.params) })
        const links = pageLinks(ctx, req, query.page, read)
        const fields = readFields(req.query)
        return {
          [plural]: items.map((thing) => view(ctx, thing, fields)),
          ...(links.length > 0 ? { [`${plural}_links`]: links } : {}),
        }
      },
    }),
    route({
      method: "GET",
      path: one,
      operation: get,
      told: { query: fieldsQuery, answer },
      handler: async (ctx, req) => ({
        [singular]: view(ctx, await get(ctx, oneOf(req)), readFields(req.query)),
      }),
    }),
  ]
  if (create) routes.push(createRoute(resource, create))
  if (update) {
    const { readChanges = (changes) => changes } = resource
    routes.push(
      route({
        method: "PUT",
        path: one,
        operation: update,
        ...(resource.concealsChanges ? { alsoAsks: get } : {}),
        told: { body: wrapped(singular, inputSchema(resource, "put")), answer },
        handler: async (ctx, req) => {
          // The attributes are the noun's, and the operation checks what they have read.
          const changes = readUpdate(req.body, singular, attributes) as ChangesOf<F>
          const one = oneOf(req)
          const thing = await concealed(ctx, resource, one, () =>
            update(ctx, { ...one, changes: readChanges(changes), ...expectedRevision(req) }),
          )
          return { [singular]: view(ctx, thing) }
        },
      }),
    )
  }
  if (remove) {
    routes.push(
      route({
        method: "DELETE",
        path: one,
        operation: remove,
        ...(resource.concealsChanges ? { alsoAsks: get } : {}),
        handler: async (ctx, req) => {
          if (req.body !== undefined && req.body !== null)
            throw badRequest("Request body is not supported in DELETE.")
          const one = oneOf(req)
          await concealed(ctx, resource, one, () => remove(ctx, { ...one, ...expectedRevision(req) }))
        },
      }),
    )
  }
  return routes
}

function createRoute<F extends Fields, P extends object>(
  resource: Resource<F, P>,
  create: NonNullable<Resource<F, P>["create"]>,
): Route {
  const { singular, plural, path, attributes, takesMany = true } = resource
  return route({
    method: "POST",
    path,
    operation: create,
    told: {
      body: oneOrMany(resource, inputSchema(resource, "post"), takesMany),
      answer: oneOrMany(resource, shownSchema(resource), takesMany),
    },
    handler: async (ctx, req) => {
      const { inputs, isMany } = readCreate(req.body, { singular, plural, takesMany }, attributes)
      const { bulkMax } = ctx.config.network
      if (inputs.length > bulkMax) throw badRequest(`At most ${bulkMax} ${plural} can be made by one request`)
      // The attributes are the noun's, and the operation checks what they have read.
      const things = await create(ctx, {
        items: inputs as CreateOf<F>[],
        ...parentOf(resource, req.params),
      })
      const views = things.map((thing) => viewOf(ctx, resource, thing))
      return isMany ? { [plural]: views } : { [singular]: views[0] }
    },
  })
}
